package checkpoint_test

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
)

type param struct {
	name  string
	role  graph.Role
	shape tensor.Shape
}

// model is a small registry: an embedding with a tied head, a matrix, a bias.
var model = []param{
	{"wte", graph.TokenEmbedding, tensor.Shape{7, 4}},
	{"h.0.w", graph.Weight, tensor.Shape{4, 6}},
	{"h.0.b", graph.Bias, tensor.Shape{6}},
}

func newParams(t testing.TB, list []param, opts ...graph.ParamsOption) *graph.Params {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph(), opts...)
	require.NoError(t, err)
	for _, p := range list {
		_, err := ps.New(p.name, p.role, p.shape, graph.Normal(1))
		require.NoError(t, err)
	}
	return ps
}

func newTied(t testing.TB, opts ...graph.ParamsOption) *graph.Params {
	ps := newParams(t, model, opts...)
	require.NoError(t, ps.Tie("lm_head", ps.Get("wte")))
	return ps
}

// values copies all values, by name.
func values(t testing.TB, ps *graph.Params) map[string][]float64 {
	t.Helper()
	out := map[string][]float64{}
	for _, p := range ps.All() {
		f32, f64, err := graph.Floats(p.Value())
		require.NoError(t, err)
		x := append([]float64{}, f64...)
		for _, v := range f32 {
			x = append(x, float64(v))
		}
		out[p.Name()] = x
	}
	return out
}

func writeFile(t testing.TB, path string, tensors ...safetensors.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(f, tensors, nil))
	require.NoError(t, f.Close())
}

func ramp(name string, shape ...int) safetensors.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i) + 0.5
	}
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape, F32: x}
}

var nan = float32(math.NaN())
