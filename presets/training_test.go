package presets_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/presets"
)

// trained runs an experiment on one batch of random tokens again and again and
// returns the losses of its steps, and the solver.
func trained(t *testing.T, e presets.Experiment) (losses []float64, solver presets.Solver) {
	t.Helper()
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, graph.WithSeed(1))
	require.NoError(t, err)
	model, err := gptblock.New(ps, e.Config)
	require.NoError(t, err)
	B, T := 2, e.Time
	node := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName(name))
	}
	ids, targets := node("ids"), node("targets")
	loss, err := model.Loss(ids, targets)
	require.NoError(t, err)
	require.NoError(t, graph.Audit(loss, ps))
	gs, err := e.Recipe.Groups(ps)
	require.NoError(t, err)
	solver, err = e.Recipe.Solver(gs)
	require.NoError(t, err)
	prog, err := graph.Compile(loss, ps)
	require.NoError(t, err)
	defer prog.Close()

	rng := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int32, B*T+1)
	for i := range tokens {
		tokens[i] = rng.Int32N(int32(e.Config.Vocab))
	}
	feed := graph.Feed{ids: tokens[:B*T], targets: tokens[1:]}
	for range e.Steps {
		r, err := prog.Step(context.Background(), solver, feed)
		require.NoError(t, err)
		losses = append(losses, r.Loss)
	}
	return losses, solver
}

func TestTinyLearns(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, c := range []presets.Choice{presets.AsPublished, presets.AsClaimed} {
			t.Run(s.Name+"/"+string(c), func(t *testing.T) {
				e, err := s.Experiment(31, 20, c)
				require.NoError(t, err)
				losses, solver := trained(t, e)
				require.Less(t, losses[19], losses[0]-0.05, "losses %v", losses)
				require.Equal(t, 20, solver.Steps())
				t.Logf("loss %.3f to %.3f", losses[0], losses[19])
			})
		}
	}
}
