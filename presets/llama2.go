package presets

// Llama2 is LLaMA 2. The 34B model of the paper was not released.
func Llama2() System {
	s := System{
		Name: "llama2", Title: "LLaMA 2",
		Paper: "Touvron et al. 2023, Llama 2: Open Foundation and Fine-Tuned Chat Models, arXiv:2307.09288",
		Claim: llamaClaim("Section 2.2"),
		fit:   llamaWidth,
		model: append([]cite{
			{"norm_eps", Published, "the released params.json, from copies: 1e-5 (the first file of 7B had 1e-6)"},
			{"context", Published, "section 2.2 and table 1: 4k tokens"},
		}, llamaModel("table 1", "section 2.2", "meta-llama/llama@689c7f2 llama/model.py")...),
		recipe: append([]cite{
			{"eps", Published, "section 2.2: 1e-5"},
			{"lr batch_tokens", Published, "table 1 and MODEL_CARD.md: 3e-4 for 7B and 13B, 1.5e-4 for 70B; 4M tokens"},
		}, llamaRecipe("section 2.2", "table 1: 2.0T tokens")...),
	}
	s.said = s.Claim.said()
	for _, v := range []struct {
		name                    string
		params                  int
		layers, heads, channels int
		lr                      float64
	}{
		{"7B", 6738415616, 32, 32, 4096, 3e-4},
		{"13B", 13015864320, 40, 40, 5120, 3e-4},
		{"70B", 68976648192, 80, 64, 8192, 1.5e-4},
	} {
		c := llamaConfig(v.layers, v.heads, v.channels)
		c.Context = 4096
		r := llamaAdamW(v.lr, 2e12)
		r.Eps = 1e-5
		size := Size{Name: v.name, Printed: v.name, Params: v.params, Config: c, Recipe: r, Claimed: claimed(r, s.Claim)}
		if v.name == "70B" {
			size.Config.KVHeads, size.Config.Hidden = 8, 28672
			size.exceptions = []cite{
				{"kv_heads", Published, "section 2.2 and params.json: grouped-query attention with 8 key and value heads"},
				{"hidden", Published, "params.json: ffn_dim_multiplier 1.3, multiple_of 4096"},
			}
		}
		s.Sizes = append(s.Sizes, size)
	}
	// Grouped queries as in 70B, the only structural difference to LLaMA 1.
	s.tiny = llamaConfig(4, 4, 96)
	s.tiny.Context, s.tiny.KVHeads = 64, 2
	return s
}
