package presets_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/presets"
)

// TestTrap... are the numbers that ports of these models commonly get wrong, a
// test for each system or number; package gptblock has the traps of the arithmetic.

// What the paper's table prints for 1.3B and 13B cannot be built; this shows
// what follows from it otherwise.
func TestTrapGPT3Table(t *testing.T) {
	c := mustSize(t, presets.GPT3(), "1.3B").Config
	require.Equal(t, []int{16, 2048}, []int{c.Heads, c.Channels})
	c.Heads, c.HeadSize = 24, 128 // as printed
	require.Greater(t, float64(c.NumParams())/1e9, 1.5, "not 1.3B")

	c = mustSize(t, presets.GPT3(), "13B").Config
	require.Equal(t, []int{40, 5120}, []int{c.Heads, c.Channels})
	c.Channels = 5140
	require.Error(t, c.Validate(), "40 heads do not divide 5140 channels")
	c.Heads = 257 // no matter for the count
	require.InDelta(t, 12.95, float64(c.NumParams())/1e9, 0.005)
}

// wpe starts at half of the others' standard deviation, which nanoGPT does not
// do; its GELU is the tanh form, nanoGPT's is not.
func TestTrapGPT2IsNotNanoGPT(t *testing.T) {
	for _, size := range presets.GPT2().Sizes {
		require.Equal(t, gptblock.Init{Std: 0.02, EmbeddingStd: 0.02, PositionStd: 0.01, ScaleResidual: true}, size.Config.Init)
		require.Equal(t, gptblock.GELU, size.Config.Activation)
	}
	nano := presets.NanoGPTCPU(65).Config
	require.Zero(t, nano.Init.PositionStd, "as the others")
	require.Equal(t, gptblock.GELUErf, nano.Activation)
}

// Half of GPT-3's layers are dense, the first one among them.
func TestTrapGPT3LayersAlternate(t *testing.T) {
	for _, size := range presets.GPT3().Sizes {
		require.Len(t, size.Config.Windows, 2)
		require.Zero(t, size.Config.Windows[0])
		require.Positive(t, size.Config.Windows[1])
	}
}

// The eps of the norms is 1e-6 in LLaMA 1, but for 65B, and 1e-5 in LLaMA 2;
// that of LLaMA 2's AdamW is 1e-5 too, not 1e-8.
func TestTrapLlamaEps(t *testing.T) {
	for name, eps := range map[string]float64{"7B": 1e-6, "13B": 1e-6, "33B": 1e-6, "65B": 1e-5} {
		size := mustSize(t, presets.Llama(), name)
		require.Equal(t, eps, size.Config.NormEps, name)
		require.Equal(t, 1e-8, size.Recipe.Eps, name)
	}
	for _, size := range presets.Llama2().Sizes {
		require.Equal(t, []float64{1e-5, 1e-5}, []float64{size.Config.NormEps, size.Recipe.Eps}, size.Name)
	}
}

// Each system has a rule of its own for the width of its gated MLP, or none.
func TestTrapWidthOfTheMLP(t *testing.T) {
	for _, c := range []struct {
		system presets.System
		size   string
		hidden int
	}{
		{presets.Llama(), "7B", 11008}, {presets.Llama(), "13B", 13824}, {presets.Llama(), "33B", 17920}, {presets.Llama(), "65B", 22016},
		{presets.Llama2(), "70B", 28672}, {presets.Mistral(), "7B", 14336}, {presets.Mixtral(), "8x22B", 16384},
		{presets.Grok1(), "314B", 32768}, {presets.PaLM(), "540B", 0}, // 0 is 4 channels
	} {
		require.Equal(t, c.hidden, mustSize(t, c.system, c.size).Config.Hidden, "%s %s", c.system.Name, c.size)
	}
}

// The LLaMAs and Mistrals have an output matrix of their own, which llama2.c
// does not; all others share the embedding.
func TestTrapTiedHeads(t *testing.T) {
	tied := map[string]bool{"gpt2": true, "gpt3": true, "palm": true, "grok-1": true}
	for _, s := range presets.Systems() {
		for _, size := range s.Sizes {
			require.Equal(t, tied[s.Name], size.Config.Tied, "%s %s", s.Name, size.Name)
		}
	}
}

// Mistral 7B has a window of 4096 keys and RoPE of base 1e4, Mixtral no window
// and 1e6.
func TestTrapMistralWindowIsNotMixtrals(t *testing.T) {
	c := presets.Mistral().Largest().Config
	require.Equal(t, []int{4096}, c.Windows)
	require.Equal(t, 1e4, c.RoPETheta)
	for _, size := range presets.Mixtral().Sizes {
		require.Empty(t, size.Config.Windows)
		require.Equal(t, 1e6, size.Config.RoPETheta)
	}
}

// PaLM: heads of 256 whatever the channels, an embedding of N(0, 1) with logits
// by 1/sqrt(channels) and no scale at the input, z-loss, and everything decays,
// by the square of the learning rate.
func TestTrapPaLM(t *testing.T) {
	for _, size := range presets.PaLM().Sizes {
		c := size.Config
		require.Equal(t, []int{256, 1}, []int{c.HeadSize, c.KVHeads})
		require.Equal(t, gptblock.Init{FanIn: true, EmbeddingStd: 1}, c.Init)
		require.Equal(t, 1/math.Sqrt(float64(c.Channels)), c.LogitScale)
		require.Zero(t, c.EmbeddingScale)
		require.Equal(t, 1e-4, c.ZLoss)
		require.Equal(t, "decay_all", size.Recipe.Policy, "the gains of norms too")

		report, err := size.Report(presets.AsPublished, "")
		require.NoError(t, err)
		for _, row := range report.Rows {
			require.InDelta(t, 1e-2*1e-2, row.Rate.Shrink, 1e-12, "%s: lr^2, not lr^3 and not 0.1 lr", row.Name)
		}
	}
	large := presets.PaLM().Largest().Config
	require.Equal(t, []int{12288, 18432}, []int{large.Heads * large.HeadSize, large.Channels})
}

// Grok-1: the experts' probabilities as they are, GELU's tanh form, one scale of
// the attention's logits before the cap, an embedding scaled at both ends, and
// padding that no one sees.
func TestTrapGrok1(t *testing.T) {
	c := presets.Grok1().Largest().Config
	require.Equal(t, gptblock.RouterSoftmaxTopK, c.Router)
	require.Equal(t, gptblock.GeGLU, c.Activation)
	require.Equal(t, gptblock.BlockSandwich, c.Block)
	require.Zero(t, c.AttentionScale, "1/sqrt(128), the release's 0.08838834764831845")
	require.Equal(t, 30., c.AttentionSoftCap)
	require.InDelta(t, 78.38367176906169, c.EmbeddingScale, 1e-13)
	require.InDelta(t, 1/math.Sqrt(3), c.LogitScale, 1e-15)
	require.Equal(t, 0, *c.PadToken)
}
