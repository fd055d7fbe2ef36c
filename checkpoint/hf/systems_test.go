package hf_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/presets"
)

// Every size of every named system has a config.json that says it all; a small
// model of each is saved and comes back with the same bits and logits.
func TestEverySystem(t *testing.T) {
	types := map[string]string{
		"gpt2": "gpt2", "gpt3": "gpt3", "palm": "palm", "llama": "llama", "llama2": "llama",
		"mistral": "mistral", "mixtral": "mixtral", "grok-1": "grok-1",
	}
	require.Len(t, presets.Systems(), len(types))
	for _, s := range presets.Systems() {
		t.Run(s.Name, func(t *testing.T) {
			const V, T = 50, 11
			c := s.Tiny(V)
			configs := []gptblock.Config{c}
			for _, size := range s.Sizes {
				configs = append(configs, size.Config)
			}
			for _, c := range configs {
				require.Equal(t, types[s.Name], hf.ModelType(c))
				buf, err := hf.ConfigJSON(c, nil)
				require.NoError(t, err)
				back, err := hf.ParseConfig(buf)
				require.NoError(t, err)
				require.Equal(t, c, back)
			}

			ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(5))
			require.NoError(t, err)
			m, err := gptblock.New(ps, c)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, hf.Save(dir, ps, c, hf.SaveOptions{ShardBytes: 1 << 18}))
			back := load(t, dir, tensor.Float32)
			require.Equal(t, values(t, ps), values(t, back.ps))
			ids := make([]int32, T)
			for i := range ids {
				ids[i] = int32(i*i) % V
			}
			require.Equal(t, loaded{ps, m}.logits(t, ids, 1, T), back.logits(t, ids, 1, T))

			// Rounded once, the bits stay.
			for _, d := range []safetensors.Dtype{safetensors.BF16, safetensors.F16} {
				require.NoError(t, hf.Save(dir, ps, c, hf.SaveOptions{Dtype: d}))
				once := load(t, dir, tensor.Float32)
				require.NoError(t, hf.Save(dir, once.ps, c, hf.SaveOptions{Dtype: d}))
				require.Equal(t, values(t, once.ps), values(t, load(t, dir, tensor.Float32).ps))
			}
		})
	}
}
