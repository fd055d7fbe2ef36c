package gptblock_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/golden"
	"github.com/gorget/gorget/solvers"
)

// The recipe of the golden files: warm-up and cosine, clipping, two groups.
func goldenSolver(t *testing.T, ps *graph.Params) *solvers.AdamW {
	t.Helper()
	gs, err := groups.Split(ps, groups.GPT2Policy())
	require.NoError(t, err)
	adamw, err := solvers.NewAdamW(gs,
		solvers.WithLR(3e-3), solvers.WithSchedule(solvers.WarmupCosine(5, 19, 0.1)),
		solvers.WithBetas(0.9, 0.95), solvers.WithWeightDecay(0.1), solvers.WithClipGlobalNorm(1))
	require.NoError(t, err)
	return adamw
}

// withoutKeyBias leaves out the keys' part of a packed bias: its true gradient
// is zero, and Adam blows up what rounding makes of that.
func withoutKeyBias(name string, x []float64) []float64 {
	if !strings.HasSuffix(name, "attn.c_attn.bias") {
		return x
	}
	c := len(x) / 3
	return append(append([]float64(nil), x[:c]...), x[2*c:]...)
}

func TestTrainingEqualsPyTorch(t *testing.T) {
	for _, name := range modelGoldens {
		for _, c := range []struct {
			dtype tensor.Dtype
			run   string
			tol   float64
		}{{tensor.Float64, "f64", 1e-9}, {tensor.Float32, "f32", 1e-4}} {
			t.Run(fmt.Sprintf("%s/%v", name, c.dtype), func(t *testing.T) {
				m := newGoldenModel(t, name, c.dtype)
				prog, err := graph.Compile(m.loss, m.params)
				require.NoError(t, err)
				defer prog.Close()
				adamw := goldenSolver(t, m.params)
				losses := m.file.Tensor(t, c.run+"/loss").Float64()
				norms := m.file.Tensor(t, c.run+"/norm").Float64()
				for step := range losses {
					r, err := prog.Step(context.Background(), adamw, m.batch(t, step))
					require.NoError(t, err)
					require.InEpsilon(t, losses[step], r.Loss, c.tol, "loss of step %d", step)
					require.InEpsilon(t, norms[step], r.GradNorm, c.tol, "gradient norm of step %d", step)
				}
				for name, want := range m.file.Under(c.run + "/final/") {
					x, y := float64s(m.params.Get(name).Value()), want.Float64()
					if c.dtype == tensor.Float32 {
						x, y = withoutKeyBias(name, x), withoutKeyBias(name, y)
					}
					require.LessOrEqual(t, golden.MaxDiff(x, y), c.tol, name)
				}
			})
		}
	}
}
