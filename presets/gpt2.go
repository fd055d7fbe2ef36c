package presets

import (
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/solvers"
)

// GPT2 is GPT-2. Nothing about its optimizer was published; the recipe is that
// of nanoGPT's reproduction. The weight decay of 0.01 that is said to be
// GPT-2's is GPT-1's.
func GPT2() System {
	s := System{
		Name: "gpt2", Title: "GPT-2",
		Paper: "Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
		Claim: Claim{
			WeightDecay: 0.01, Says: "weight decay 0.01", Verdict: Unpublished, Published: "nothing; 0.01 is GPT-1's",
			Source: "The paper names no optimizer, decay, betas or dropout. GPT-1 (Radford et al. 2018, section 4.1) decays all non bias or gain weights with w = 0.01 (openai/finetune-transformer-lm@a69b5c4 opt.py). nanoGPT's reproduction takes 0.1.",
		},
		model:  gpt2Model,
		recipe: gpt2Recipe,
	}
	s.said = s.Claim.said()
	for _, v := range []struct {
		name, printed           string
		params                  int
		layers, heads, channels int
		lr                      float64
	}{
		{"124M", "117M", 124439808, 12, 12, 768, 6e-4},
		{"355M", "345M", 354823168, 24, 16, 1024, 3e-4},
		{"774M", "762M", 774030080, 36, 20, 1280, 2.5e-4},
		{"1558M", "1542M", 1557611200, 48, 25, 1600, 2e-4},
	} {
		r := Recipe{
			Optimizer: AdamW, Policy: "gpt2", LR: v.lr, Schedule: solvers.WarmupCosine(2001, 600001, 0.1),
			Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1,
			BatchTokens: 512 * 1024, TrainSteps: 600000,
		}
		s.Sizes = append(s.Sizes, Size{
			Name: v.name, Printed: v.printed, Params: v.params,
			Config: gpt2Config(v.layers, v.heads, v.channels), Recipe: r, Claimed: claimed(r, s.Claim),
		})
	}
	s.tiny = gpt2Config(4, 4, 96)
	s.tiny.Context = 64
	return s
}

func gpt2Config(layers, heads, channels int) gptblock.Config {
	return gptblock.Config{
		Vocab: 50257, Context: 1024, Layers: layers, Channels: channels, Heads: heads,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm,
		Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
		Init: gptblock.Init{Std: 0.02, EmbeddingStd: 0.02, PositionStd: 0.01, ScaleResidual: true},
	}
}

var gpt2Model = append([]cite{
	{"vocab context", Published, "openai/gpt-2@9b63575 src/model.py and released hparams: 50257 byte-level BPE tokens, n_ctx 1024"},
	{"layers channels heads", Published, "released hparams, also in karpathy/nanoGPT@3adf61e model.py; the counts that the paper prints are lower than what these sizes give"},
	{"kv_heads head_size hidden", Published, "openai/gpt-2@9b63575 src/model.py: heads split the channels, the MLP is 4 n_embd wide"},
	{"block", Published, "section 2.3 and src/model.py: norms before each branch, one more at the end"},
	{"norm norm_bias norm_eps bias", Published, "openai/gpt-2@9b63575 src/model.py: LayerNorm with gain and bias, eps 1e-5; all convolutions have biases, the logits none"},
	{"activation", Published, "openai/gpt-2@9b63575 src/model.py: GELU in its tanh form"},
	{"position tied attention_scale", Published, "openai/gpt-2@9b63575 src/model.py: learned wpe, logits from wte, scale 1/sqrt(head size)"},
	{"rope_theta attention_soft_cap windows pad_token experts top_k router router_loss_coef embedding_scale logit_scale logit_soft_cap", Published,
		"openai/gpt-2@9b63575 src/model.py has none of these"},
	{"z_loss", Default, "none: the paper does not mention one"},
	{"embedding_dropout attention_dropout residual_dropout", Default,
		"nanoGPT's 0; neither the paper nor the released code has dropout, GPT-1 (Radford et al. 2018) and minGPT take 0.1"},
	{"init.std init.fan_in init.embedding_std init.position_std", Published, "openai/gpt-2@9b63575 src/model.py: N(0, 0.02), wpe N(0, 0.01), biases 0"},
	{"init.scale_residual", Published, "section 2.3: weights of residual layers times 1/sqrt(N), N the number of residual layers"},
}, everywhere...)

var gpt2Recipe = []cite{
	{"optimizer beta1 beta2 eps weight_decay clip train_steps" + scheduleFields, Default,
		"unpublished; karpathy/nanoGPT@3adf61e train.py: AdamW, betas 0.9 and 0.95, decay 0.1, clip 1, 2000 steps of warm-up, cosine to a tenth over 600000"},
	{"lr", Default, "unpublished (section 3: tuned by hand for each size); nanoGPT's 6e-4 for 124M, GPT-3's of the nearest size for the others"},
	{"policy", Default, "unpublished; nanoGPT: parameters of rank >= 2 decay"},
	torchMode, constantDecay,
	{"batch_tokens", Derived, "section 2.3: batch size 512, times the context of 1024"},
}
