package gptblock_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/solvers"
)

// A run of several steps with micro-batches and dropout ends with the same
// bits, of weights and of the optimizer's state, on any number of threads.
func TestTrainingIsBitEqualForAnyGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const B, T, steps, micro = 3, 48, 4, 2
	c := small()
	c.Layers, c.Channels, c.Heads, c.Vocab, c.Context = 2, 64, 4, 301, T
	c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = .1, .1, .1
	train := func() (weights map[string][]float64, losses []float64, state solvers.State) {
		ps := mustParams(t)
		m, err := gptblock.New(ps, c)
		require.NoError(t, err)
		ids := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("ids"))
		targets := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("targets"))
		loss, err := m.Loss(ids, targets)
		require.NoError(t, err)
		prog, err := graph.Compile(loss, ps)
		require.NoError(t, err)
		defer prog.Close()
		adamw := goldenSolver(t, ps)
		for step := range steps {
			var feeds []graph.Feed
			for i := range micro {
				x := make([]int32, B*T+1)
				for j := range x {
					x[j] = int32((j*j*7 + 31*step + 17*i) % c.Vocab)
				}
				feeds = append(feeds, graph.Feed{ids: x[:B*T], targets: x[1:]})
			}
			r, err := prog.Step(context.Background(), adamw, feeds...)
			require.NoError(t, err)
			losses = append(losses, r.Loss)
		}
		weights = map[string][]float64{}
		for _, p := range ps.All() {
			weights[p.Name()] = float64s(p.Value())
		}
		return weights, losses, adamw.State()
	}
	runtime.GOMAXPROCS(1)
	weights, losses, state := train()
	require.NotEqual(t, losses[0], losses[steps-1])
	for _, procs := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(procs)
		w, l, s := train()
		require.Equal(t, losses, l, "GOMAXPROCS %d", procs)
		require.Equal(t, weights, w, "GOMAXPROCS %d", procs)
		require.Equal(t, state.Step, s.Step)
		for name, p := range state.Params {
			for moment, d := range p.Tensors {
				require.Equal(t, d.Data(), s.Params[name].Tensors[moment].Data(), "%s of %s, GOMAXPROCS %d", moment, name, procs)
			}
		}
	}
}
