package presets

import "github.com/gorget/gorget/gptblock"

// Mixtral is Mixtral, Mistral with a mixture of experts and without the
// sliding window. Nothing about its training was published; the recipe is
// LLaMA's, with the load-balancing loss of Hugging Face's config.
func Mixtral() System {
	const code = "mistralai/mistral-src@e3a64e4 moe_one_file_ref.py"
	s := System{
		Name: "mixtral", Title: "Mixtral",
		Paper: "Jiang et al. 2024, Mixtral of Experts, arXiv:2401.04088",
		Claim: mistralClaim("Looked through: the paper and mistralai/mistral-src@e3a64e4."),
		model: append([]cite{
			{"layers channels heads kv_heads head_size hidden vocab context experts top_k", Published, "table 1"},
			{"rope_theta", Published, code + ": 1e6"},
			{"windows", Published, "section 2: fully dense context of 32k tokens"},
			{"router", Published, "section 2.1: Softmax(TopK(x Wg))"},
			{"router_loss_coef", Default, "neither paper nor code has a load-balancing loss; Hugging Face's config.json has 0.02"},
		}, mistralModel(code)...),
		recipe: mistralRecipe,
	}
	s.said = s.Claim.said()
	small := mistralConfig()
	small.Context, small.RoPETheta, small.Windows = 32768, 1e6, nil
	small.Experts, small.TopK, small.Router, small.RouterLossCoef = 8, 2, gptblock.RouterTopKSoftmax, 0.02
	large := small
	large.Context, large.Layers, large.Channels, large.Heads, large.Hidden = 65536, 56, 6144, 48, 16384
	like13B, like33B := llamaAdamW(3e-4, 1e12), llamaAdamW(1.5e-4, 1.4e12)
	s.Sizes = []Size{
		{Name: "8x7B", Printed: "47B", Params: 46702792704, Config: small, Recipe: like13B, Claimed: claimed(like13B, s.Claim)},
		{Name: "8x22B", Printed: "141B", Params: 140620634112, Config: large, Recipe: like33B, Claimed: claimed(like33B, s.Claim), exceptions: []cite{
			{"layers channels heads kv_heads head_size hidden vocab context experts top_k", Published,
				"the release of April 2024: params.json" + fromMemory + ", the announcement's 141B, of which 39B are active"},
			{"rope_theta", Published, "the release of April 2024: params.json (from memory)"},
		}},
	}
	s.tiny = mistralTiny(small)
	s.tiny.Layers, s.tiny.Channels, s.tiny.HeadSize, s.tiny.Hidden = 3, 64, 16, 96
	return s
}
