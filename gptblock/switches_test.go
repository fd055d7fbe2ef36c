package gptblock_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
)

// switches are changes of the config of a golden model, each of one thing that
// the model is made of.
var switches = []struct {
	golden, name string
	change       func(*gptblock.Config)
}{
	{"gpt2-tanh", "GELU's erf form", func(c *gptblock.Config) { c.Activation = gptblock.GELUErf }},
	{"gpt2-erf-nobias", "GELU's tanh form", func(c *gptblock.Config) { c.Activation = gptblock.GELU }},
	{"gpt2-tanh", "no biases", func(c *gptblock.Config) { c.Bias = false }},
	{"gpt2-tanh", "no norm biases", func(c *gptblock.Config) { c.NormBias = false }},
	{"gpt2-tanh", "eps", func(c *gptblock.Config) { c.NormEps = 1e-6 }},
	{"gpt2-erf-nobias", "RMSNorm", func(c *gptblock.Config) { c.Norm = gptblock.NormRMS }},
	{"gpt2-tanh", "head of its own", func(c *gptblock.Config) { c.Tied = false }},
	{"gpt2-untied", "tied head", func(c *gptblock.Config) { c.Tied = true }},
	{"gpt2-tanh", "RoPE", func(c *gptblock.Config) { c.Position = gptblock.PositionRoPE }},
	{"gpt2-tanh", "attention scale", func(c *gptblock.Config) { c.AttentionScale = 1 }},
	{"gpt2-tanh", "attention soft cap", func(c *gptblock.Config) { c.AttentionSoftCap = 30 }},
	{"gpt2-tanh", "logit soft cap", func(c *gptblock.Config) { c.LogitSoftCap = 30 }},
	{"gpt2-tanh", "embedding scale", func(c *gptblock.Config) { c.EmbeddingScale = 2 }},
	{"gpt3", "dense layers only", func(c *gptblock.Config) { c.Windows = nil }},
	{"gpt3", "banded layers only", func(c *gptblock.Config) { c.Windows = c.Windows[1:] }},
	{"gpt3", "banded layer first", func(c *gptblock.Config) { c.Windows = []int{c.Windows[1], c.Windows[0]} }},
	{"llama", "LayerNorm", func(c *gptblock.Config) { c.Norm = gptblock.NormLayer }},
	{"llama", "eps", func(c *gptblock.Config) { c.NormEps = 1e-5 }},
	{"llama", "GeGLU", func(c *gptblock.Config) { c.Activation = gptblock.GeGLU }},
	{"llama", "base of RoPE", func(c *gptblock.Config) { c.RoPETheta = 1e6 }},
	{"llama", "parallel block", func(c *gptblock.Config) { c.Block = gptblock.BlockParallel }},
	{"llama", "tied head", func(c *gptblock.Config) { c.Tied = true }},
	{"llama-tied", "head of its own", func(c *gptblock.Config) { c.Tied = false }},
	{"mistral", "no window", func(c *gptblock.Config) { c.Windows = nil }},
	{"mistral", "window one wider", func(c *gptblock.Config) { c.Windows = []int{c.Windows[0] + 1} }},
	{"mistral", "window one narrower", func(c *gptblock.Config) { c.Windows = []int{c.Windows[0] - 1} }},
	{"mixtral", "base of RoPE", func(c *gptblock.Config) { c.RoPETheta = 1e4 }},
	{"mixtral", "router", func(c *gptblock.Config) { c.Router = gptblock.RouterSoftmaxTopK }},
	{"mixtral", "top-k", func(c *gptblock.Config) { c.TopK = 1 }},
	{"mixtral", "GeGLU", func(c *gptblock.Config) { c.Activation = gptblock.GeGLU }},
	{"mixtral", "no load-balancing loss", func(c *gptblock.Config) { c.RouterLossCoef = 0 }},
	{"palm", "one branch after the other", func(c *gptblock.Config) { c.Block = gptblock.BlockPreNorm }},
	{"palm", "RMSNorm", func(c *gptblock.Config) { c.Norm = gptblock.NormRMS }},
	{"palm", "GeGLU", func(c *gptblock.Config) { c.Activation = gptblock.GeGLU }},
	{"palm", "head of its own", func(c *gptblock.Config) { c.Tied = false }},
	{"palm", "no logit scale", func(c *gptblock.Config) { c.LogitScale = 1 }},
	{"palm", "no z-loss", func(c *gptblock.Config) { c.ZLoss = 0 }},
	{"palm", "base of RoPE", func(c *gptblock.Config) { c.RoPETheta = 1e6 }},
	{"grok-1", "parallel block", func(c *gptblock.Config) { c.Block = gptblock.BlockParallel }},
	{"grok-1", "router", func(c *gptblock.Config) { c.Router = gptblock.RouterTopKSoftmax }},
	{"grok-1", "top-k", func(c *gptblock.Config) { c.TopK = 3 }},
	{"grok-1", "SwiGLU", func(c *gptblock.Config) { c.Activation = gptblock.SwiGLU }},
	{"grok-1", "attention scale", func(c *gptblock.Config) { c.AttentionScale *= 2 }},
	{"grok-1", "no attention soft cap", func(c *gptblock.Config) { c.AttentionSoftCap = 0 }},
	{"grok-1", "no embedding scale", func(c *gptblock.Config) { c.EmbeddingScale = 1 }},
	{"grok-1", "no logit scale", func(c *gptblock.Config) { c.LogitScale = 1 }},
	{"grok-1", "head of its own", func(c *gptblock.Config) { c.Tied = false }},
	{"grok-1-pad", "padding seen", func(c *gptblock.Config) { c.PadToken = nil }},
}

// With any switch thrown, a golden file is missed by far more than the 1e-12 to
// which TestModelsEqualPyTorch holds the model: each is really there.
func TestEverySwitchMatters(t *testing.T) {
	for _, c := range switches {
		t.Run(c.golden+"/"+c.name, func(t *testing.T) {
			m := newGoldenModel(t, c.golden, tensor.Float64, c.change)
			of, by := m.deviation(t)
			// Grok-1's norm after the mixture takes a common scale of the gates
			// away again, but for its eps: its routers' orders are this close.
			require.Greater(t, by, 1e-6)
			require.Less(t, by, 100., of)
			t.Logf("%s by %.2g", of, by)
		})
	}
}

// noSwitches are the fields of a config that change no result of a golden
// model, or its sizes: weights would not fit.
var noSwitches = []string{
	"Vocab", "Context", "Layers", "Channels", "Heads", "KVHeads", "HeadSize", "Hidden", "Experts",
	"Layout", "Recompute", "Init",
	"EmbeddingDropout", "AttentionDropout", "ResidualDropout", "StochasticDepth", // off in the golden files
}

func TestSwitchesAreAllFieldsAndAllModels(t *testing.T) {
	thrown, models := map[string]bool{}, map[string]bool{}
	for _, c := range switches {
		models[c.golden] = true
		before := newGoldenModel(t, c.golden, tensor.Float64).header.config()
		after := before
		c.change(&after)
		a, b := reflect.ValueOf(before), reflect.ValueOf(after)
		for i := range a.NumField() {
			if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				thrown[a.Type().Field(i).Name] = true
			}
		}
	}
	fields := reflect.TypeOf(gptblock.Config{})
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		require.NotEqual(t, thrown[name], slices.Contains(noSwitches, name), "%s: a switch, or none", name)
	}
	for _, of := range []string{"gpt2-tanh", "gpt3", "llama", "mistral", "mixtral", "palm", "grok-1"} {
		require.True(t, models[of], of)
	}
}
