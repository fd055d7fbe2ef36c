package hf

import (
	"github.com/gorget/gorget/gptblock"
)

// gpt2JSON is the part of a GPT-2's config.json that decides what the model
// computes.
type gpt2JSON struct {
	Architectures    []string `json:"architectures,omitempty"`
	Vocab            int      `json:"vocab_size"`
	Context          int      `json:"n_positions"`
	Channels         int      `json:"n_embd"`
	Layers           int      `json:"n_layer"`
	Heads            int      `json:"n_head"`
	Hidden           *int     `json:"n_inner"`
	Activation       string   `json:"activation_function"`
	EmbeddingDropout float64  `json:"embd_pdrop"`
	AttentionDropout float64  `json:"attn_pdrop"`
	ResidualDropout  float64  `json:"resid_pdrop"`
	NormEps          float64  `json:"layer_norm_epsilon"`
	InitStd          float64  `json:"initializer_range"`
	ScaleAttention   bool     `json:"scale_attn_weights"`
	ScaleByLayer     bool     `json:"scale_attn_by_inverse_layer_idx"`
	CrossAttention   bool     `json:"add_cross_attention"`
	Tied             bool     `json:"tie_word_embeddings"`
}

// gpt2Defaults are what transformers takes for a key that is not there.
func gpt2Defaults() gpt2JSON {
	return gpt2JSON{
		Vocab: 50257, Context: 1024, Channels: 768, Layers: 12, Heads: 12, Activation: "gelu_new",
		EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1, NormEps: 1e-5, InitStd: 0.02,
		ScaleAttention: true, Tied: true,
	}
}

var gpt2Activations = map[string]gptblock.Activation{
	"gelu_new": gptblock.GELU, "gelu_pytorch_tanh": gptblock.GELU, "gelu_fast": gptblock.GELU,
	"gelu": gptblock.GELUErf,
}

func (j gpt2JSON) config() (gptblock.Config, error) {
	act, ok := gpt2Activations[j.Activation]
	switch {
	case !ok:
		return gptblock.Config{}, unsupported("activation_function", j.Activation, `"gelu_new" or "gelu"`)
	case j.ScaleByLayer:
		return gptblock.Config{}, unsupported("scale_attn_by_inverse_layer_idx", true, "false")
	case j.CrossAttention:
		return gptblock.Config{}, unsupported("add_cross_attention", true, "false")
	}
	c := gptblock.Config{
		Vocab: j.Vocab, Context: j.Context, Layers: j.Layers, Channels: j.Channels, Heads: j.Heads, Hidden: deref(j.Hidden),
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: j.NormEps,
		Bias: true, Activation: act, Position: gptblock.PositionLearned, Tied: j.Tied,
		EmbeddingDropout: j.EmbeddingDropout, AttentionDropout: j.AttentionDropout, ResidualDropout: j.ResidualDropout,
		Init: gptblock.Init{Std: j.InitStd, ScaleResidual: true},
	}
	if !j.ScaleAttention {
		c.AttentionScale = 1
	}
	return c, nil
}

func gpt2From(c gptblock.Config) gpt2JSON {
	j := gpt2JSON{
		Architectures: []string{"GPT2LMHeadModel"},
		Vocab:         c.Vocab, Context: c.Context, Channels: c.Channels, Layers: c.Layers, Heads: c.Heads, Hidden: &c.Hidden,
		Activation:       "gelu_new",
		EmbeddingDropout: c.EmbeddingDropout, AttentionDropout: c.AttentionDropout, ResidualDropout: c.ResidualDropout,
		NormEps: c.NormEps, InitStd: c.Init.Std, ScaleAttention: c.AttentionScale != 1, Tied: c.Tied,
	}
	if c.Activation == gptblock.GELUErf {
		j.Activation = "gelu"
	}
	return j
}

func deref(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}
