package presets

import (
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/solvers"
)

// Llama is LLaMA 1.
func Llama() System {
	s := System{
		Name: "llama", Title: "LLaMA",
		Paper: "Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models, arXiv:2302.13971",
		Claim: llamaClaim("Section 2.3"),
		fit:   llamaWidth,
		model: append([]cite{
			{"norm_eps", Published, "the released params.json, from copies: 1e-6, and 1e-5 for 65B; the code's default is 1e-5"},
			{"context", Published, "meta-llama/llama branch llama_v1@57b0eb6: max_seq_len 2048"},
		}, llamaModel("table 2", "section 2.2", "meta-llama/llama branch llama_v1@57b0eb6 llama/model.py")...),
		recipe: append([]cite{
			{"eps", Default, "not stated; Adam's usual 1e-8"},
			{"lr batch_tokens", Published, "table 2: 3e-4 for 7B and 13B, 1.5e-4 for 33B and 65B; 4M tokens"},
		}, llamaRecipe("section 2.3", "table 2: 1.0T tokens for 7B and 13B, 1.4T for 33B and 65B")...),
	}
	s.said = s.Claim.said()
	for _, v := range []struct {
		name, printed           string
		params                  int
		layers, heads, channels int
		eps, lr, tokens         float64
	}{
		{"7B", "6.7B", 6738415616, 32, 32, 4096, 1e-6, 3e-4, 1e12},
		{"13B", "13.0B", 13015864320, 40, 40, 5120, 1e-6, 3e-4, 1e12},
		{"33B", "32.5B", 32528943616, 60, 52, 6656, 1e-6, 1.5e-4, 1.4e12},
		{"65B", "65.2B", 65285660672, 80, 64, 8192, 1e-5, 1.5e-4, 1.4e12},
	} {
		c := llamaConfig(v.layers, v.heads, v.channels)
		c.NormEps = v.eps
		r := llamaAdamW(v.lr, v.tokens)
		s.Sizes = append(s.Sizes, Size{Name: v.name, Printed: v.printed, Params: v.params, Config: c, Recipe: r, Claimed: claimed(r, s.Claim)})
	}
	s.tiny = llamaConfig(4, 4, 96)
	s.tiny.Context, s.tiny.NormEps = 64, 1e-6
	return s
}

func llamaConfig(layers, heads, channels int) gptblock.Config {
	c := gptblock.Config{
		Vocab: 32000, Context: 2048, Layers: layers, Channels: channels, Heads: heads,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, RoPETheta: 1e4,
		Init: gptblock.Init{Std: 0.02, ScaleResidual: true},
	}
	llamaWidth(&c)
	return c
}

// llamaWidth is LLaMA's rule for the MLP: two thirds of 4 channels, rounded up
// to a multiple of 256.
func llamaWidth(c *gptblock.Config) {
	const multiple = 256
	c.Hidden = (8*c.Channels/3 + multiple - 1) / multiple * multiple
}

// llamaAdamW is the recipe of both LLaMA papers, the closest that there is for
// models of which nothing was published. A batch has 4M tokens.
func llamaAdamW(lr, tokens float64) Recipe {
	const batch = 4_000_000
	steps := int(tokens / batch)
	return Recipe{
		Optimizer: AdamW, Policy: "gpt2", LR: lr, Schedule: solvers.WarmupCosine(2000, steps, 0.1),
		Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1,
		BatchTokens: batch, TrainSteps: steps,
	}
}

func llamaClaim(section string) Claim {
	return Claim{
		WeightDecay: 0.1, Says: "weight decay 0.1, norms and biases excluded", Verdict: Partly, Published: "0.1; exclusions not stated",
		Source: section + ": weight decay of 0.1 and gradient clipping of 1.0. The text mentions no exclusion and no training code was released; there are no biases to exclude.",
	}
}

// llamaModel cites what the two LLaMAs have in common, besides norm_eps and
// context.
func llamaModel(sizes, section, code string) []cite {
	return append([]cite{
		{"layers channels heads", Published, sizes + " and the released params.json"},
		{"vocab", Published, section + ": SentencePiece BPE; the released tokenizer has 32000 tokens"},
		{"kv_heads head_size", Published, code + ": heads split the channels"},
		{"hidden", Published, code + ": two thirds of 4 channels, rounded up to multiple_of"},
		{"block norm norm_bias bias", Published, section + " and " + code + ": RMSNorm before each branch and at the end, no biases"},
		{"activation position rope_theta", Published, section + " and " + code + ": SwiGLU, RoPE with base 10000"},
		{"tied attention_scale", Published, code + ": separate output matrix, scale 1/sqrt(head size)"},
		{"attention_soft_cap windows pad_token experts top_k router router_loss_coef embedding_scale logit_scale logit_soft_cap", Published,
			code + " has none of these"},
		{"z_loss embedding_dropout attention_dropout residual_dropout", Default, "none: the paper mentions none"},
		{"init.std init.fan_in init.embedding_std init.position_std init.scale_residual", Default, "unpublished; GPT-2's (karpathy/llama2.c@350e04f takes it too, but makes w3 small in the place of w2, the last matrix of its branch)"},
	}, everywhere...)
}

// llamaRecipe cites what the two LLaMAs have in common, besides lr,
// batch_tokens and eps.
func llamaRecipe(section, tokens string) []cite {
	return []cite{
		{"optimizer beta1 beta2 weight_decay clip", Published, section + ": AdamW, betas 0.9 and 0.95, weight decay of 0.1, gradient clipping of 1.0"},
		{"schedule.shape schedule.warmup schedule.hold schedule.floor", Published, section + ": 2000 steps of warm-up, cosine to 10 %"},
		{"schedule.steps train_steps", Derived, tokens + ", over 4M tokens a step"},
		{"policy", Default, "exemptions are not stated; nanoGPT's rule: parameters of rank >= 2 decay"},
		torchMode, constantDecay,
	}
}
