package presets

import (
	"math"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/solvers"
)

// PaLM is PaLM. Its optimizer is Adafactor without factoring, whose decay is
// the square of the current learning rate (solvers.NewAdafactor): 0.1 by AdamW,
// as is commonly said, was never PaLM's.
func PaLM() System {
	s := System{
		Name: "palm", Title: "PaLM",
		Paper: "Chowdhery et al. 2022, PaLM: Scaling Language Modeling with Pathways, arXiv:2204.02311",
		Claim: Claim{
			WeightDecay: 0.1, Says: "weight decay 0.1", Verdict: Wrong, Published: "lr^2, by Adafactor",
			Source: "Section 5: Adafactor with a dynamic weight decay of lr^2, lr the current learning rate; p = (1 - lr^2) p - update in google-research/t5x@cc342d4 adafactor.py, with no exemptions. As a coefficient of AdamW that is lr itself: 1e-2 for 10000 steps, 2e-3 at step 255000, never 0.1.",
		},
		fit:    palmScale,
		model:  palmModel,
		recipe: palmRecipe,
	}
	s.said = append(s.Claim.said(),
		cite{"lr beta1 beta2 eps clip mode batch_tokens train_steps" + scheduleFields, Default,
			"PaLM was not trained by AdamW; LLaMA's recipe (Touvron et al. 2023, section 2.3 and table 2) by size, over PaLM's 780 billion tokens"})
	r := Recipe{
		Optimizer: Adafactor, Policy: "decay_all", LR: 1e-2, Schedule: solvers.InverseSqrt(0, 10000),
		Beta1: 0.9, WeightDecay: 1, Clip: 1,
		BatchTokens: 2048 * 2048, TrainSteps: 255000,
	}
	for _, v := range []struct {
		name, printed           string
		params                  int
		layers, heads, channels int
		adamLR                  float64
	}{
		{"8B", "8.63B", 8632012800, 32, 16, 4096, 3e-4},
		{"62B", "62.50B", 62495662080, 64, 32, 8192, 1.5e-4},
		{"540B", "540.35B", 540356474880, 118, 48, 18432, 1.5e-4},
	} {
		s.Sizes = append(s.Sizes, Size{
			Name: v.name, Printed: v.printed, Params: v.params, Config: palmConfig(v.layers, v.heads, v.channels),
			Recipe: r, Claimed: claimed(llamaAdamW(v.adamLR, 780e9), s.Claim),
		})
	}
	s.tiny = palmConfig(4, 4, 96)
	// The heads together are wider or narrower than the channels, as in all sizes.
	s.tiny.Context, s.tiny.HeadSize = 64, 32
	return s
}

func palmConfig(layers, heads, channels int) gptblock.Config {
	c := gptblock.Config{
		Vocab: 256000, Context: 2048, Layers: layers, Channels: channels, Heads: heads, KVHeads: 1, HeadSize: 256,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockParallel, Norm: gptblock.NormLayer, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, RoPETheta: 1e4,
		Tied: true, ZLoss: 1e-4,
		Init: gptblock.Init{FanIn: true, EmbeddingStd: 1},
	}
	palmScale(&c)
	return c
}

// palmScale makes up for the embedding's standard deviation of 1.
func palmScale(c *gptblock.Config) { c.LogitScale = 1 / math.Sqrt(float64(c.Channels)) }

var palmModel = append([]cite{
	{"vocab", Published, "section 2: SentencePiece with 256k tokens; 256000 gives the printed numbers of parameters"},
	{"context", Published, "section 5: sequences of 2048 tokens"},
	{"layers channels heads head_size hidden", Published, "table 1 and section 2: head size 256 and d_ff = 4 d_model in all sizes"},
	{"block", Published, "section 2: parallel layers; the printed numbers of parameters fit one norm a layer"},
	{"norm norm_bias bias", Published, "section 2: no biases in dense kernels and layer norms"},
	{"norm_eps", Default, "unpublished; lucidrains/PaLM-pytorch@7164d13"},
	{"activation kv_heads position tied", Published, "section 2: SwiGLU, multi-query attention, RoPE, shared input and output embeddings"},
	{"rope_theta", Default, "unpublished, as is the pairing; 10000, as lucidrains/PaLM-pytorch@7164d13"},
	{"attention_scale", Default, "not stated; the usual 1/sqrt(head size)"},
	{"attention_soft_cap windows pad_token experts top_k router router_loss_coef embedding_scale logit_soft_cap", Published, "section 2 lists what differs from the standard Transformer: none of these"},
	{"logit_scale", Published, "section 5: pre-softmax logits times 1/sqrt(n), n the embedding size"},
	{"z_loss", Published, "section 5: 1e-4 log^2 Z"},
	{"embedding_dropout attention_dropout residual_dropout", Published, "section 5: no dropout in pretraining (0.1 for most finetuning)"},
	{"init.std init.fan_in init.embedding_std init.scale_residual", Published, "section 5: kernels by fan-in variance scaling, embeddings N(0, 1)"},
	{"init.position_std", Published, "section 2: RoPE, so there is no table of positions"},
}, everywhere...)

var palmRecipe = []cite{
	{"optimizer beta1 beta2 weight_decay", Published, "section 5: Adafactor without factoring, beta1 0.9, beta2 1 - k^-0.8, decay of lr^2 (1 is the factor on lr^2)"},
	{"eps", Default, "not stated; google-research/t5x@cc342d4 adafactor.py"},
	{"lr schedule.shape schedule.warmup schedule.hold schedule.steps schedule.floor", Published, "section 5: 1e-2 for 10000 steps, then 1/sqrt(k)"},
	{"clip", Published, "section 5: global norm clipped at 1.0"},
	{"policy", Derived, "no exemption is named, and google-research/t5x@cc342d4 adafactor.py decays everything, the gains of norms too"},
	{"mode", Derived, "AdamW's alone: Adafactor here decays by lr^2"},
	constantDecay,
	{"batch_tokens", Derived, "section 5: 2048 sequences of 2048 tokens at the end; 512 until step 50000, 1024 until 115000"},
	{"train_steps", Published, "section 5: 255000 steps"},
}
