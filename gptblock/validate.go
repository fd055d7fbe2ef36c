package gptblock

import (
	"fmt"
	"math"

	"github.com/gorget/gorget/internal/kernel"
)

// ConfigError names the field of a [Config] that no model can have.
type ConfigError struct {
	Field string // as in JSON
	Value any
	Want  string
}

// Error says which field is wrong and what is wanted.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("gptblock: config: %s = %v, want %s", e.Field, e.Value, e.Want)
}

// Validate returns a *[ConfigError] for the first field that no model can have,
// nil if there is none.
func (c Config) Validate() error {
	raw := c
	c = c.withDefaults()
	for _, check := range []struct {
		ok    bool
		field string
		value any
		want  string
	}{
		{c.Vocab > 0 && c.Vocab <= math.MaxInt32, "vocab", c.Vocab, "1 to 2^31-1"},
		{c.Context > 0, "context", c.Context, "at least 1"},
		{c.Layers > 0, "layers", c.Layers, "at least 1"},
		{c.Channels > 0, "channels", c.Channels, "at least 1"},
		{c.Heads > 0, "heads", c.Heads, "at least 1"},
		{c.KVHeads > 0 && c.Heads%c.KVHeads == 0, "kv_heads", raw.KVHeads, fmt.Sprintf("a divisor of heads = %d", c.Heads)},
		{raw.HeadSize != 0 || c.Channels%max(c.Heads, 1) == 0, "heads", c.Heads,
			fmt.Sprintf("a divisor of channels = %d, or head_size set", c.Channels)},
		{c.HeadSize > 0 && c.HeadSize <= kernel.MaxHeadSize, "head_size", c.HeadSize, fmt.Sprintf("1 to %d", kernel.MaxHeadSize)},
		{c.Hidden > 0, "hidden", c.Hidden, "at least 1"},

		{c.Layout.valid(), "layout", c.Layout, fmt.Sprintf("%q or %q", LayoutGPT2, LayoutLlama)},
		{c.Block == BlockPreNorm || c.Block == BlockParallel || c.Block == BlockSandwich, "block", c.Block,
			fmt.Sprintf("%q, %q or %q", BlockPreNorm, BlockParallel, BlockSandwich)},
		{c.Norm == NormLayer || c.Norm == NormRMS, "norm", c.Norm, fmt.Sprintf("%q or %q", NormLayer, NormRMS)},
		{!c.NormBias || c.Norm == NormLayer, "norm_bias", c.NormBias, "false, since RMSNorm has no bias"},
		{finite(c.NormEps) && c.NormEps > 0, "norm_eps", c.NormEps, "a number > 0"},
		{c.Activation.valid(), "activation", c.Activation, fmt.Sprintf("%q, %q, %q or %q", GELU, GELUErf, SwiGLU, GeGLU)},
		{c.Position == PositionLearned || c.Position == PositionRoPE, "position", c.Position, fmt.Sprintf("%q or %q", PositionLearned, PositionRoPE)},
		{c.Position != PositionRoPE || c.HeadSize%2 == 0, "head_size", c.HeadSize, "an even number for RoPE"},
		{finite(c.RoPETheta) && c.RoPETheta > 0, "rope_theta", c.RoPETheta, "a number > 0"},

		{atLeast0(c.AttentionScale), "attention_scale", c.AttentionScale, "a number >= 0"},
		{atLeast0(c.AttentionSoftCap), "attention_soft_cap", c.AttentionSoftCap, "a number >= 0"},
		{c.PadToken == nil || *c.PadToken >= 0 && *c.PadToken < c.Vocab, "pad_token", padToken(c), "a token of the vocabulary"},

		{c.Experts >= 0, "experts", c.Experts, "0 or more"},
		{c.Experts == 0 || c.TopK >= 1 && c.TopK <= c.Experts, "top_k", c.TopK, fmt.Sprintf("1 to experts = %d", c.Experts)},
		{c.Experts == 0 || c.Router.valid(), "router", c.Router,
			fmt.Sprintf("%q or %q", RouterTopKSoftmax, RouterSoftmaxTopK)},
		{c.Experts == 0 || c.Activation.Gated() && !c.Bias && c.Layout == LayoutLlama, "experts", c.Experts,
			"0 unless the layout is llama, the activation gated and bias false"},
		{c.Experts > 0 || c.TopK == 0 && c.Router == "" && c.RouterLossCoef == 0, "experts", c.Experts, "more than 0 with top_k, router or router_loss_coef set"},
		{atLeast0(c.RouterLossCoef), "router_loss_coef", c.RouterLossCoef, "a number >= 0"},

		{finite(c.EmbeddingScale), "embedding_scale", c.EmbeddingScale, "a number"},
		{finite(c.LogitScale), "logit_scale", c.LogitScale, "a number"},
		{atLeast0(c.LogitSoftCap), "logit_soft_cap", c.LogitSoftCap, "a number >= 0"},
		{atLeast0(c.ZLoss), "z_loss", c.ZLoss, "a number >= 0"},

		{probability(c.EmbeddingDropout), "embedding_dropout", c.EmbeddingDropout, "0 <= p < 1"},
		{probability(c.AttentionDropout), "attention_dropout", c.AttentionDropout, "0 <= p < 1"},
		{probability(c.ResidualDropout), "residual_dropout", c.ResidualDropout, "0 <= p < 1"},
		{probability(c.StochasticDepth), "stochastic_depth", c.StochasticDepth, "0 <= p < 1"},

		{atLeast0(c.Init.Std), "init.std", c.Init.Std, "a number >= 0"},
		{atLeast0(c.Init.EmbeddingStd), "init.embedding_std", c.Init.EmbeddingStd, "a number >= 0"},
		{atLeast0(c.Init.PositionStd), "init.position_std", c.Init.PositionStd, "a number >= 0"},
	} {
		if !check.ok {
			return &ConfigError{check.field, check.value, check.want}
		}
	}
	for i, w := range c.Windows {
		if w < 0 {
			return &ConfigError{fmt.Sprintf("windows[%d]", i), w, "0 or more"}
		}
	}
	return nil
}

func finite(x float64) bool      { return !math.IsNaN(x) && !math.IsInf(x, 0) }
func atLeast0(x float64) bool    { return finite(x) && x >= 0 }
func probability(p float64) bool { return p >= 0 && p < 1 }

func padToken(c Config) any {
	if c.PadToken == nil {
		return nil
	}
	return *c.PadToken
}
