package hf

import (
	"github.com/gorget/gorget/gptblock"
)

// llamaJSON is the part of the config.json of a LLaMA, Mistral or Mixtral that
// decides what the model computes.
type llamaJSON struct {
	Architectures    []string `json:"architectures,omitempty"`
	Vocab            int      `json:"vocab_size"`
	Context          int      `json:"max_position_embeddings"`
	Channels         int      `json:"hidden_size"`
	Hidden           int      `json:"intermediate_size"`
	Layers           int      `json:"num_hidden_layers"`
	Heads            int      `json:"num_attention_heads"`
	KVHeads          *int     `json:"num_key_value_heads"` // null: as many as heads
	HeadSize         *int     `json:"head_dim,omitempty"`
	Activation       string   `json:"hidden_act"`
	NormEps          float64  `json:"rms_norm_eps"`
	AttentionBias    bool     `json:"attention_bias"`
	MLPBias          bool     `json:"mlp_bias"`
	AttentionDropout float64  `json:"attention_dropout"`
	InitStd          float64  `json:"initializer_range"`
	Tied             bool     `json:"tie_word_embeddings"`

	// transformers 5 writes rope_parameters, older versions the other two.
	RoPETheta      float64   `json:"rope_theta"`
	RoPEScaling    *ropeJSON `json:"rope_scaling"`
	RoPEParameters *ropeJSON `json:"rope_parameters,omitempty"`

	Window *int `json:"sliding_window,omitempty"` // null: none

	Experts        int     `json:"num_local_experts,omitempty"`
	TopK           int     `json:"num_experts_per_tok,omitempty"`
	RouterLossCoef float64 `json:"router_aux_loss_coef,omitempty"`
	RouterLoss     bool    `json:"output_router_logits,omitempty"` // the loss is on
	RouterJitter   float64 `json:"router_jitter_noise,omitempty"`
}

type ropeJSON struct {
	Theta   *float64 `json:"rope_theta,omitempty"`
	Type    string   `json:"rope_type,omitempty"`
	OldType string   `json:"type,omitempty"`
}

func (r *ropeJSON) plain() bool {
	return r == nil || (r.Type == "" || r.Type == "default") && (r.OldType == "" || r.OldType == "default")
}

// llamaDefaults are what transformers takes for a key that is not there.
func llamaDefaults(modelType string) llamaJSON {
	j := llamaJSON{
		Vocab: 32000, Context: 2048, Channels: 4096, Hidden: 11008, Layers: 32, Heads: 32, Activation: "silu",
		NormEps: 1e-6, InitStd: 0.02, RoPETheta: 1e4,
	}
	switch kv, window := 8, 4096; modelType {
	case mistral:
		j.Context, j.Hidden, j.KVHeads, j.Window = 4096*32, 14336, &kv, &window
	case mixtral:
		j.Context, j.Hidden, j.KVHeads, j.NormEps, j.RoPETheta = 4096*32, 14336, &kv, 1e-5, 1e6
		j.Experts, j.TopK, j.RouterLossCoef = 8, 2, 0.001
	}
	return j
}

func (j llamaJSON) config(modelType string) (gptblock.Config, error) {
	switch {
	case j.Activation != "silu" && j.Activation != "swish":
		return gptblock.Config{}, unsupported("hidden_act", j.Activation, `"silu"`)
	case !j.RoPEScaling.plain():
		return gptblock.Config{}, unsupported("rope_scaling", *j.RoPEScaling, "null")
	case !j.RoPEParameters.plain():
		return gptblock.Config{}, unsupported("rope_parameters", *j.RoPEParameters, `rope_type "default"`)
	case j.AttentionBias != j.MLPBias:
		return gptblock.Config{}, unsupported("attention_bias", j.AttentionBias, "the same as mlp_bias")
	case j.RouterJitter != 0:
		return gptblock.Config{}, unsupported("router_jitter_noise", j.RouterJitter, "0")
	}
	c := gptblock.Config{
		Vocab: j.Vocab, Context: j.Context, Layers: j.Layers, Channels: j.Channels, Heads: j.Heads,
		KVHeads: deref(j.KVHeads), HeadSize: deref(j.HeadSize), Hidden: j.Hidden,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: j.NormEps,
		Bias: j.AttentionBias, Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, RoPETheta: j.RoPETheta,
		Tied: j.Tied, AttentionDropout: j.AttentionDropout, Init: gptblock.Init{Std: j.InitStd},
	}
	if r := j.RoPEParameters; r != nil && r.Theta != nil {
		c.RoPETheta = *r.Theta
	}
	if modelType != llama && deref(j.Window) > 0 {
		c.Windows = []int{*j.Window}
	}
	if modelType == mixtral {
		c.Experts, c.TopK, c.Router = j.Experts, j.TopK, gptblock.RouterTopKSoftmax
		if j.RouterLoss {
			c.RouterLossCoef = j.RouterLossCoef
		}
	}
	return c, nil
}

func llamaFrom(c gptblock.Config, modelType string) llamaJSON {
	j := llamaJSON{
		Vocab: c.Vocab, Context: c.Context, Channels: c.Channels, Hidden: c.Hidden, Layers: c.Layers,
		Heads: c.Heads, KVHeads: &c.KVHeads, HeadSize: &c.HeadSize, Activation: "silu", NormEps: c.NormEps,
		AttentionBias: c.Bias, MLPBias: c.Bias, AttentionDropout: c.AttentionDropout, InitStd: c.Init.Std,
		Tied: c.Tied, RoPETheta: c.RoPETheta,
		Experts: c.Experts, TopK: c.TopK, RouterLossCoef: c.RouterLossCoef, RouterLoss: c.RouterLossCoef > 0,
	}
	j.Architectures = map[string][]string{
		llama: {"LlamaForCausalLM"}, mistral: {"MistralForCausalLM"}, mixtral: {"MixtralForCausalLM"},
	}[modelType]
	if len(c.Windows) == 1 && c.Windows[0] > 0 {
		j.Window = &c.Windows[0]
	}
	return j
}
