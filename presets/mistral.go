package presets

import "github.com/gorget/gorget/gptblock"

// Mistral is Mistral 7B v0.1. Nothing about its training was published; the
// recipe is LLaMA's.
//
// The paper and the code disagree by one on the sliding window. Here a query
// sees 4096 keys, itself included, as in the paper's figure and rolling cache
// and in mistral-inference.
func Mistral() System {
	s := System{
		Name: "mistral", Title: "Mistral 7B",
		Paper: "Jiang et al. 2023, Mistral 7B, arXiv:2310.06825",
		Claim: mistralClaim("Looked through: the paper and mistralai/mistral-src@c18d5b9."),
		model: append([]cite{
			{"layers channels heads kv_heads head_size hidden vocab context", Published, "table 1"},
			{"rope_theta", Published, mistralCode + ": 10000 (v0.2 and later: 1e6)"},
			{"windows", Published, "table 1: 4096 keys, the query's own included (text and code differ by one; see the figure and the rolling cache)"},
			{"experts top_k router router_loss_coef", Published, mistralCode + " has none of these"},
		}, mistralModel(mistralCode)...),
		recipe: mistralRecipe,
	}
	s.said = s.Claim.said()
	r := llamaAdamW(3e-4, 1e12)
	s.Sizes = []Size{{Name: "7B", Printed: "7B", Params: 7241732096, Config: mistralConfig(), Recipe: r, Claimed: claimed(r, s.Claim)}}
	s.tiny = mistralTiny(mistralConfig())
	s.tiny.Windows = []int{32}
	return s
}

func mistralConfig() gptblock.Config {
	c := llamaConfig(32, 32, 4096)
	c.Context, c.KVHeads, c.HeadSize, c.Hidden = 8192, 8, 128, 14336
	c.Windows = []int{4096}
	return c
}

// mistralTiny shrinks a model of the family: 2 key and value heads for 4, and
// an MLP of 3.5 channels, as the large ones have.
func mistralTiny(c gptblock.Config) gptblock.Config {
	c.Context, c.Layers, c.Channels, c.Heads, c.KVHeads, c.HeadSize, c.Hidden = 64, 4, 96, 4, 2, 24, 336
	return c
}

const mistralCode = "mistralai/mistral-src@c18d5b9 one_file_ref.py"

// mistralModel cites what Mistral and Mixtral have in common, each by the file
// of its own release.
func mistralModel(code string) []cite {
	return append([]cite{
		{"block norm norm_bias norm_eps bias activation position tied attention_scale", Published,
			code + ": LLaMA's block, RMSNorm with eps 1e-5, SwiGLU, RoPE, no biases, separate output matrix"},
		{"attention_soft_cap pad_token embedding_scale logit_scale logit_soft_cap", Published, code + " has none of these"},
		{"z_loss", Default, "none: the paper does not mention one"},
		{"embedding_dropout attention_dropout residual_dropout", Default, "none: neither paper nor code has any"},
		{"init.std init.fan_in init.embedding_std init.position_std init.scale_residual", Default, "unpublished; GPT-2's"},
	}, everywhere...)
}

// mistralRecipe is the provenance of LLaMA's recipe where none is published.
var mistralRecipe = []cite{
	{"optimizer lr beta1 beta2 eps weight_decay clip batch_tokens train_steps" + scheduleFields, Default,
		"unpublished; LLaMA's recipe (Touvron et al. 2023, section 2.3 and table 2) for the nearest number of active parameters"},
	{"policy", Default, "unpublished; nanoGPT's rule: parameters of rank >= 2 decay"},
	torchMode, constantDecay,
}

func mistralClaim(looked string) Claim {
	return Claim{
		WeightDecay: 0.1, Says: "weight decay 0.1", Verdict: Unpublished, Published: "nothing",
		Source: looked + " No optimizer, decay, schedule, clipping or dropout is in them.",
	}
}
