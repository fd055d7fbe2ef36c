package presets

import (
	"math"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/solvers"
)

// gpt3Window is the band of GPT-3's sparse layers, which the paper does not
// give: every second layer, the second one first, sees 256 keys, an eighth of
// the context. It is GPT-Neo's choice for the same design.
const gpt3Window = 256

// GPT3 is GPT-3 (Brown et al. 2020). Its recipe is published in tokens; the
// numbers of steps here are those tokens over the batch of the size, as if the
// batch did not ramp up from 32k tokens, over 4 to 12 billion, as it did.
//
// Two columns of the paper's table 2.1 contradict themselves, since heads times
// head size has to be the number of channels: 1.3B, here 16 heads of 128 in the
// place of 24, and 13B, here 5120 channels in the place of 5140.
func GPT3() System {
	s := System{
		Name: "gpt3", Title: "GPT-3",
		Paper: "Brown et al. 2020, Language Models are Few-Shot Learners, arXiv:2005.14165",
		Claim: Claim{
			WeightDecay: 0.1, Says: "weight decay 0.1", Verdict: Right, Published: "0.1",
			Source: "Appendix B: all models use weight decay of 0.1, with a reference to Loshchilov and Hutter 2017. Which parameters are exempt is not published.",
		},
		model:  gpt3Model,
		recipe: gpt3Recipe,
	}
	s.said = s.Claim.said()
	for _, v := range []struct {
		name                    string
		params                  int
		layers, heads, channels int
		lr, batch               float64
		exceptions              []cite
	}{
		{"125M", 125226240, 12, 12, 768, 6e-4, 0.5e6, nil},
		{"350M", 355871744, 24, 16, 1024, 3e-4, 0.5e6, nil},
		{"760M", 760300032, 24, 16, 1536, 2.5e-4, 0.5e6, nil},
		{"1.3B", 1315723264, 24, 16, 2048, 2e-4, 1e6, []cite{{"heads", Derived,
			"table 2.1 prints 24 heads of 128, which are 3072 channels and not 2048; 16 heads fit" + fromMemory}}},
		{"2.7B", 2651553280, 32, 32, 2560, 1.6e-4, 1e6, nil},
		{"6.7B", 6658404352, 32, 32, 4096, 1.2e-4, 2e6, nil},
		{"13B", 12853386240, 40, 40, 5120, 1e-4, 2e6, []cite{{"channels", Derived,
			"table 2.1 prints 5140, but 40 heads of 128 are 5120 (the table from memory)"}}},
		{"175B", 174604259328, 96, 96, 12288, 0.6e-4, 3.2e6, nil},
	} {
		steps := func(tokens float64) int { return int(math.Round(tokens / v.batch)) }
		r := Recipe{
			Optimizer: AdamW, Policy: "gpt2", LR: v.lr, Schedule: solvers.WarmupCosine(steps(375e6), steps(260e9), 0.1),
			Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1,
			BatchTokens: int(v.batch), TrainSteps: steps(300e9),
		}
		s.Sizes = append(s.Sizes, Size{
			Name: v.name, Printed: v.name, Params: v.params,
			Config: gpt3Config(v.layers, v.heads, v.channels), Recipe: r, Claimed: claimed(r, s.Claim), exceptions: v.exceptions,
		})
	}
	s.tiny = gpt3Config(4, 4, 96)
	s.tiny.Context, s.tiny.Windows = 64, []int{0, 64 / 8}
	return s
}

func gpt3Config(layers, heads, channels int) gptblock.Config {
	c := gpt2Config(layers, heads, channels)
	c.Context = 2048
	c.Windows = []int{0, gpt3Window}
	return c
}

var gpt3Model = append([]cite{
	{"vocab", Derived, "section 2.1: GPT-2's reversible tokenization, so its 50257 tokens" + fromMemory},
	{"context layers channels heads head_size hidden", Published, "section 2.1 and table 2.1: n_ctx 2048, d_ff = 4 d_model" + fromMemory},
	{"block norm norm_bias norm_eps bias activation position tied attention_scale kv_heads init.std init.fan_in init.embedding_std init.position_std init.scale_residual", Derived,
		"section 2.1: model and architecture are GPT-2's, with its initialization and pre-normalization; no code was released"},
	{"windows", Default, "section 2.1 and appendix B only say that dense and locally banded layers alternate, as in Child et al. 2019; band and order are GPT-Neo's: dense first, 256 keys"},
	{"rope_theta attention_soft_cap pad_token experts top_k router router_loss_coef embedding_scale logit_scale logit_soft_cap", Derived,
		"GPT-2 has none of these, and section 2.1 adds none"},
	{"z_loss embedding_dropout attention_dropout residual_dropout", Default, "none: the paper mentions none"},
}, everywhere...)

var gpt3Recipe = []cite{
	{"optimizer weight_decay", Published, "appendix B: Adam, and weight decay of 0.1 with a reference to Loshchilov and Hutter 2017"},
	{"beta1 beta2 eps clip", Published, "appendix B: betas 0.9 and 0.95, eps 1e-8, global norm of the gradient clipped at 1.0"},
	{"lr", Published, "table 2.1 (from memory)"},
	{"batch_tokens", Published, "table 2.1 (from memory); appendix B: the batch ramped up from 32k tokens to it over the first 4 to 12 billion, which the recipe does not"},
	{"schedule.shape schedule.floor", Published, "appendix B: cosine down to a tenth, then constant"},
	{"schedule.warmup schedule.steps train_steps", Derived,
		"appendix B and section 2.1: warm-up over 375 million tokens, decay over 260 billion, 300 billion in all (from memory); each over the tokens of a full batch"},
	{"schedule.hold", Published, "appendix B: the decay follows the warm-up"},
	{"policy", Default, "exemptions are unpublished; nanoGPT's rule: parameters of rank >= 2 decay"},
	torchMode, constantDecay,
}
