package presets

import (
	"math"

	"github.com/gorget/gorget/gptblock"
)

// Grok1 is Grok-1. Its release is for inference only and says nothing about
// training; the recipe is LLaMA's.
func Grok1() System {
	s := System{
		Name: "grok-1", Title: "Grok-1",
		Paper: "xAI 2024, Open Release of Grok-1, xai-org/grok-1@7050ed2",
		Claim: Claim{
			WeightDecay: 0.1, Says: "weight decay 0.1, \"per open config\"", Verdict: FalseSource, Published: "nothing",
			Source: "The source is false: there is no such config. Looked through: xai-org/grok-1@7050ed2, which is for inference only. No optimizer, decay, learning rate or dropout is in its code or README.",
		},
		fit:    grok1Scale,
		model:  grok1Model,
		recipe: mistralRecipe,
	}
	s.said = s.Claim.said()
	pad := 0
	c := gptblock.Config{
		Vocab: 131072, Context: 8192, Layers: 64, Channels: 6144, Heads: 48, KVHeads: 8, HeadSize: 128, Hidden: 32768,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockSandwich, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.GeGLU, Position: gptblock.PositionRoPE, RoPETheta: 1e4,
		AttentionSoftCap: 30, PadToken: &pad,
		Experts: 8, TopK: 2, Router: gptblock.RouterSoftmaxTopK,
		Tied: true, LogitScale: 0.5773502691896257,
		Init: gptblock.Init{Std: 0.02, ScaleResidual: true},
	}
	grok1Scale(&c)
	r := llamaAdamW(1.5e-4, 1.4e12)
	s.Sizes = []Size{{Name: "314B", Printed: "314B", Params: 315684820992, Config: c, Recipe: r, Claimed: claimed(r, s.Claim)}}
	s.tiny = c
	s.tiny.Context, s.tiny.Layers, s.tiny.Channels, s.tiny.Heads, s.tiny.KVHeads, s.tiny.HeadSize, s.tiny.Hidden = 64, 3, 64, 4, 2, 16, 96
	s.tiny.PadToken = nil
	grok1Scale(&s.tiny)
	return s
}

// grok1Scale makes up for the embedding's small standard deviation.
func grok1Scale(c *gptblock.Config) { c.EmbeddingScale = math.Sqrt(float64(c.Channels)) }

const grok1Code = "xai-org/grok-1@7050ed2 model.py and run.py"

var grok1Model = append([]cite{
	{"vocab context layers channels heads kv_heads head_size experts top_k pad_token", Published, grok1Code},
	{"hidden", Published, grok1Code + ": ffn_size with widening factor 8, two thirds of 8 channels rounded up to a multiple of 8"},
	{"block norm norm_bias norm_eps bias", Published, grok1Code + ": RMSNorm before and after each branch and at the end, eps 1e-5, no biases"},
	{"activation", Published, grok1Code + ": gated, by jax.nn.gelu, which is the tanh form (ports with the erf form deviate)"},
	{"position rope_theta windows", Published, grok1Code + ": RoPE over the whole head, base 1e4; all keys before"},
	{"attention_scale attention_soft_cap", Published, grok1Code + ": attn_output_multiplier 1/sqrt(128), then 30 tanh(l/30)"},
	{"router", Published, grok1Code + ": softmax over all experts, the two largest not renormalized"},
	{"router_loss_coef", Default, "none: the code is for inference and has no load-balancing loss"},
	{"tied embedding_scale logit_scale", Published, grok1Code + ": tied, input times sqrt(6144), logits times 1/sqrt(3)"},
	{"logit_soft_cap", Published, grok1Code + " has none"},
	{"z_loss embedding_dropout attention_dropout residual_dropout", Default, "none: the code is for inference and has none"},
	{"init.std init.fan_in init.embedding_std init.position_std init.scale_residual", Default, "unpublished, the code fills with constants; GPT-2's"},
}, everywhere...)
