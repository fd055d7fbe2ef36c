package hf_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

// A GPT-2 without biases is none of transformers'; with zero biases it is, and
// its logits are the same.
func TestAddZeroBiases(t *testing.T) {
	with, err := hf.ReadConfig(golden.Dir(t, "hf-gpt2"))
	require.NoError(t, err)
	c := with
	c.Bias, c.NormBias = false, false
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithDtype(tensor.Float64), graph.WithSeed(3))
	require.NoError(t, err)
	m, err := gptblock.New(ps, c)
	require.NoError(t, err)
	require.Equal(t, "gorget", hf.ModelType(c))

	full, fullConfig, err := hf.AddZeroBiases(ps, c)
	require.NoError(t, err)
	require.Equal(t, with, fullConfig)
	require.Equal(t, "gpt2", hf.ModelType(fullConfig))
	dir := filepath.Join(t.TempDir(), "gpt2")
	if keep := os.Getenv("GORGET_HF_OUT"); keep != "" {
		dir = filepath.Join(keep, "gpt2-zero-biases")
	}
	require.NoError(t, hf.Save(dir, full, fullConfig, hf.SaveOptions{}))
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6, 5}
	require.Equal(t, loaded{ps, m}.logits(t, ids, 1, 9), load(t, dir, tensor.Float64).logits(t, ids, 1, 9))

	llama := load(t, golden.Dir(t, "hf-llama"), tensor.Float32)
	_, _, err = hf.AddZeroBiases(llama.ps, llama.model.Config)
	require.ErrorContains(t, err, `layout "llama"`)
	c.Layers = 3
	_, _, err = hf.AddZeroBiases(ps, c)
	require.ErrorContains(t, err, "not those of the config: transformer.h.2")
	c.Layers = 0
	_, _, err = hf.AddZeroBiases(ps, c)
	require.ErrorContains(t, err, "layers = 0")
}
