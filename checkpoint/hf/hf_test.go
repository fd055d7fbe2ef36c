package hf_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

// loaded is a model read from a folder.
type loaded struct {
	ps    *graph.Params
	model *gptblock.Model
}

func load(t testing.TB, dir string, dt tensor.Dtype) loaded {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithDtype(dt), graph.WithoutInit())
	require.NoError(t, err)
	m, err := hf.New(ps, dir, checkpoint.CheckFinite())
	require.NoError(t, err)
	return loaded{ps, m}
}

// logits of ids (B,T), in the type of the model.
func (l loaded) logits(t testing.TB, ids []int32, B, T int) []float64 {
	t.Helper()
	g := gorgonia.NewGraph()
	ps, err := l.ps.Share(g)
	require.NoError(t, err)
	m, err := gptblock.New(ps, l.model.Config.Eval())
	require.NoError(t, err)
	tokens := gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("tokens"))
	out, err := m.Logits(tokens)
	require.NoError(t, err)
	sum, err := gorgonia.Sum(out) // a program runs a scalar
	require.NoError(t, err)
	prog, err := graph.Compile(sum, ps, graph.ForwardOnly(), graph.Keep(out))
	require.NoError(t, err)
	defer prog.Close()
	_, err = prog.Eval(context.Background(), graph.Feed{tokens: ids})
	require.NoError(t, err)
	return floats(t, prog.Value(out))
}

func floats(t testing.TB, v gorgonia.Value) []float64 {
	f32, f64, err := graph.Floats(v)
	require.NoError(t, err)
	out := append([]float64{}, f64...)
	for _, x := range f32 {
		out = append(out, float64(x))
	}
	return out
}

func values(t testing.TB, ps *graph.Params) map[string][]float64 {
	out := map[string][]float64{}
	for _, p := range ps.All() {
		out[p.Name()] = floats(t, p.Value())
	}
	return out
}

var folders = []struct {
	name, modelType string
	dtype           safetensors.Dtype
}{
	{"hf-gpt2", "gpt2", safetensors.F32},
	{"hf-gpt2-hub", "gpt2", safetensors.F32},
	{"hf-llama", "llama", safetensors.BF16},
	{"hf-mistral", "mistral", safetensors.F16},
	{"hf-mixtral", "mixtral", safetensors.F32},
}

// Folders that transformers wrote: the same logits. Saved by us and loaded
// again: the same bits. GORGET_HF_OUT names a folder in which to leave what was
// saved, for transformers to look at.
func TestFoldersOfTransformers(t *testing.T) {
	for _, c := range folders {
		t.Run(c.name, func(t *testing.T) {
			want := golden.Load(t, c.name)
			ids := want.Tensor(t, "ids")
			B, T := ids.Shape[0], ids.Shape[1]
			dir := golden.Dir(t, c.name)

			m := load(t, dir, tensor.Float64)
			diff := golden.MaxDiff(m.logits(t, ids.I32, B, T), want.Tensor(t, "logits").Float64())
			require.LessOrEqual(t, diff, 1e-12)
			single := load(t, dir, tensor.Float32)
			require.LessOrEqual(t, golden.RelErr(single.logits(t, ids.I32, B, T), want.Tensor(t, "logits").Float64()), 2e-6)

			require.Equal(t, c.modelType, hf.ModelType(m.model.Config))
			out := filepath.Join(t.TempDir(), "saved")
			if keep := os.Getenv("GORGET_HF_OUT"); keep != "" {
				out = filepath.Join(keep, c.name)
			}
			require.NoError(t, hf.Save(out, single.ps, single.model.Config, hf.SaveOptions{
				Dtype: c.dtype, ShardBytes: 12000, Extra: map[string]any{"bos_token_id": 1, "eos_token_id": 2},
			}))
			again := load(t, out, tensor.Float32)
			require.Equal(t, single.model.Config, again.model.Config)
			require.Equal(t, values(t, single.ps), values(t, again.ps))

			// Without gorget's own part the folder says the same.
			buf, err := os.ReadFile(filepath.Join(out, "config.json"))
			require.NoError(t, err)
			cfg, err := hf.ParseConfig(without(t, buf, "gorget"))
			require.NoError(t, err)
			require.Equal(t, c.modelType, hf.ModelType(cfg))
			fresh := describe(t, cfg)
			for _, p := range single.ps.All() {
				require.NotNil(t, fresh.Get(p.Name()))
				require.Equal(t, p.Shape(), fresh.Get(p.Name()).Shape())
			}
		})
	}
}

// Rounding on saving: loaded weights are those rounded once.
func TestSaveRounds(t *testing.T) {
	m := load(t, golden.Dir(t, "hf-gpt2"), tensor.Float32)
	for dtype, eps := range map[safetensors.Dtype]float64{safetensors.BF16: 1.0 / 256, safetensors.F16: 1.0 / 2048} {
		dir := t.TempDir()
		require.NoError(t, hf.Save(dir, m.ps, m.model.Config, hf.SaveOptions{Dtype: dtype}))
		back := values(t, load(t, dir, tensor.Float32).ps)
		for name, x := range values(t, m.ps) {
			for i := range x {
				require.InDelta(t, x[i], back[name][i], eps*max(x[i], -x[i])+1e-7, "%s[%d] as %s", name, i, dtype)
			}
		}
	}
}

func describe(t testing.TB, c gptblock.Config) *graph.Params {
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	return ps
}
