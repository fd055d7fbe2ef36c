package solvers_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// BenchmarkStep is one step over a matrix and a bias of float32; the gradients
// are transient, as under a graph.Program.
func BenchmarkStep(b *testing.B) {
	const n = 1 << 22
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(b, err)
	var list []gorgonia.ValueGrad
	for _, c := range []struct {
		name  string
		role  graph.Role
		shape tensor.Shape
	}{{"w", graph.Weight, tensor.Shape{n / 1024, 1024}}, {"b", graph.Bias, tensor.Shape{1024}}} {
		p, err := ps.New(c.name, c.role, c.shape, graph.Normal(1))
		require.NoError(b, err)
		grad := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(c.shape...))
		require.NoError(b, grad.Memset(float32(0.1)))
		list = append(list, &pair{Param: p, grad: grad, transient: true})
	}
	gs, err := groups.Split(ps, groups.GPT2Policy())
	require.NoError(b, err)
	adamw, err := solvers.NewAdamW(gs, solvers.WithClipGlobalNorm(1))
	require.NoError(b, err)
	adafactor, err := solvers.NewAdafactor(gs, solvers.WithClipGlobalNorm(1))
	require.NoError(b, err)
	stock := gorgonia.NewAdamSolver()
	for _, c := range []struct {
		name string
		gorgonia.Solver
	}{{"adamw", adamw}, {"adafactor", adafactor}, {"stock_adam", stock}} {
		b.Run(c.name, func(b *testing.B) {
			require.NoError(b, c.Step(list))
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, c.Step(list))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/param")
		})
	}
}
