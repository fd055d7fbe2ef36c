package gptblock

// Norm is the kind of normalization of a model.
type Norm string

// The norms.
const (
	NormLayer Norm = "layernorm"
	NormRMS   Norm = "rmsnorm"
)

// BlockKind is how a block joins attention and MLP to the residual stream.
type BlockKind string

// The kinds of blocks.
const (
	// BlockPreNorm: x += Attn(N1(x)); x += MLP(N2(x)). GPT-2, GPT-3, LLaMA,
	// Mistral, Mixtral.
	BlockPreNorm BlockKind = "prenorm"
	// BlockParallel: x += MLP(N(x)) + Attn(N(x)), one norm. PaLM.
	BlockParallel BlockKind = "parallel"
	// BlockSandwich: x += N2(Attn(N1(x))); x += N4(MLP(N3(x))). Grok-1.
	BlockSandwich BlockKind = "sandwich"
)

// Position is how a model knows positions.
type Position string

// The position embeddings.
const (
	PositionLearned Position = "learned" // a table, added to the token embedding
	PositionRoPE    Position = "rope"    // queries and keys rotated (Su et al. 2021, arXiv:2104.09864)
)

// Router is the order of softmax and choice in a mixture of experts.
type Router string

// The routers.
const (
	// RouterTopKSoftmax: the TopK largest logits, softmax over those. Mixtral.
	RouterTopKSoftmax Router = "topk_softmax"
	// RouterSoftmaxTopK: softmax over all experts, the TopK largest as they
	// are, not renormalized. Grok-1.
	RouterSoftmaxTopK Router = "softmax_topk"
)

func (r Router) valid() bool { return r == RouterTopKSoftmax || r == RouterSoftmaxTopK }

// Config describes a model. It is data: printed, compared, and saved as JSON.
// Package presets has those of the published systems.
type Config struct {
	Vocab    int `json:"vocab"`
	Context  int `json:"context"` // longest sequence, in tokens
	Layers   int `json:"layers"`
	Channels int `json:"channels"` // width of the residual stream
	Heads    int `json:"heads"`
	KVHeads  int `json:"kv_heads,omitempty"`  // divides Heads; 0 means Heads
	HeadSize int `json:"head_size,omitempty"` // 0 means Channels/Heads
	Hidden   int `json:"hidden,omitempty"`    // width of the MLP, or of an expert; 0 means 4*Channels

	Layout     Layout     `json:"layout"`
	Block      BlockKind  `json:"block"`
	Norm       Norm       `json:"norm"`
	NormBias   bool       `json:"norm_bias,omitempty"` // of LayerNorm
	NormEps    float64    `json:"norm_eps"`
	Bias       bool       `json:"bias,omitempty"` // of linear layers; the head never has one
	Activation Activation `json:"activation"`
	Position   Position   `json:"position"`
	RoPETheta  float64    `json:"rope_theta,omitempty"` // base of RoPE; 0 means 1e4

	AttentionScale   float64 `json:"attention_scale,omitempty"`    // 0 means 1/sqrt(HeadSize)
	AttentionSoftCap float64 `json:"attention_soft_cap,omitempty"` // cap tanh(logit/cap); 0 means none
	// Windows says how many keys a query sees, itself included: layer l has
	// Windows[l mod len(Windows)]. 0 means all, and so does an empty list.
	Windows  []int `json:"windows,omitempty"`
	PadToken *int  `json:"pad_token,omitempty"` // keys of this token are masked; nil means none are

	Experts        int     `json:"experts,omitempty"` // 0 means no mixture of experts
	TopK           int     `json:"top_k,omitempty"`   // experts for each token
	Router         Router  `json:"router,omitempty"`
	RouterLossCoef float64 `json:"router_loss_coef,omitempty"` // weight of the load-balancing loss; 0 means none

	Tied           bool    `json:"tied,omitempty"`            // the head is the token embedding
	EmbeddingScale float64 `json:"embedding_scale,omitempty"` // 0 means 1
	LogitScale     float64 `json:"logit_scale,omitempty"`     // 0 means 1
	LogitSoftCap   float64 `json:"logit_soft_cap,omitempty"`  // 0 means none
	ZLoss          float64 `json:"z_loss,omitempty"`          // weight of log(Z)^2 in the loss (PaLM, section 5)

	EmbeddingDropout float64 `json:"embedding_dropout,omitempty"`
	AttentionDropout float64 `json:"attention_dropout,omitempty"` // of the probabilities
	ResidualDropout  float64 `json:"residual_dropout,omitempty"`  // at the end of each branch
	// StochasticDepth is the probability of dropping a branch of the last
	// layer; it grows linearly from 0 before the first (Huang et al. 2016,
	// arXiv:1603.09382, section 3).
	StochasticDepth float64 `json:"stochastic_depth,omitempty"`

	// Recompute trades time for memory: the backward pass computes each block
	// once more instead of keeping its activations (Chen et al. 2016,
	// arXiv:1604.06174). The gradients are the same. It is for training with
	// the TapeMachine.
	Recompute bool `json:"recompute,omitempty"`

	Init Init `json:"init"`
}

// Init says how a model's parameters start. Biases start at zero, gains at one.
type Init struct {
	Std          float64 `json:"std,omitempty"`           // of matrices; 0 means DefaultStd
	FanIn        bool    `json:"fan_in,omitempty"`        // matrices have std 1/sqrt(n_in) instead (PaLM)
	EmbeddingStd float64 `json:"embedding_std,omitempty"` // of the token embedding; 0 means Std
	PositionStd  float64 `json:"position_std,omitempty"`  // of the position embedding; 0 means Std
	// ScaleResidual divides the std of the last matrix of each branch by
	// sqrt(2 Layers), the number of branches (GPT-2, section 2.3).
	ScaleResidual bool `json:"scale_residual,omitempty"`
}

// IgnoreIndex is the target of positions that do not count in the loss,
// PyTorch's ignore_index.
const IgnoreIndex = -100

// Eval is c for evaluation and sampling: nothing is random, and the loss is the
// cross-entropy alone, without z-loss and load-balancing loss.
func (c Config) Eval() Config {
	c.ZLoss, c.RouterLossCoef, c.Recompute = 0, 0, false
	c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = 0, 0, 0, 0
	return c
}

// withDefaults is c with the fields set that may be 0 for a default.
func (c Config) withDefaults() Config {
	orInt := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	or := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	orInt(&c.KVHeads, c.Heads)
	if c.Heads > 0 {
		orInt(&c.HeadSize, c.Channels/c.Heads)
	}
	orInt(&c.Hidden, 4*c.Channels)
	or(&c.RoPETheta, 1e4)
	or(&c.EmbeddingScale, 1)
	or(&c.LogitScale, 1)
	or(&c.Init.Std, DefaultStd)
	or(&c.Init.EmbeddingStd, c.Init.Std)
	or(&c.Init.PositionStd, c.Init.Std)
	return c
}

// window is the number of keys that a query of a layer sees; 0 means all.
func (c Config) window(layer int) int {
	if len(c.Windows) == 0 {
		return 0
	}
	return c.Windows[layer%len(c.Windows)]
}
