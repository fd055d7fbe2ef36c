package checkpoint_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// everything is a small run in which all that has a state is on: dropout,
// accumulation, the clip, schedules of lr and lambda.
type everything struct {
	params  *graph.Params
	prog    *graph.Program
	adamw   *solvers.AdamW
	ids, to *gorgonia.Node
}

const (
	everyB, everyT, everyV, everyC = 2, 5, 11, 6
	everySteps                     = 7
)

// newEverything registers the layers' parameters in the given order.
func newEverything(t *testing.T, mode solvers.Mode, order ...string) *everything {
	t.Helper()
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, graph.WithSeed(3))
	require.NoError(t, err)
	var (
		table *gptblock.TokenEmbedding
		norm  *gptblock.LayerNorm
		head  *gptblock.Linear
	)
	for _, layer := range order {
		switch layer {
		case "table":
			table, err = gptblock.NewTokenEmbedding(ps, layer, everyV, everyC, nil)
		case "norm":
			norm, err = gptblock.NewLayerNorm(ps, layer, everyC, 1e-5, true)
		case "head":
			head, err = gptblock.NewLinear(ps, layer, graph.LMHead, everyC, everyV, gptblock.LinearOptions{Bias: true})
		}
		require.NoError(t, err)
	}
	drop, err := gptblock.NewDropout(ps, "drop", 0.2)
	require.NoError(t, err)
	e := &everything{params: ps}
	input := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(everyB, everyT), gorgonia.WithName(name))
	}
	e.ids, e.to = input("ids"), input("targets")
	x := e.ids
	for _, l := range []gptblock.Layer{table, drop, norm, head} {
		x, err = l.Forward(x) // (B,T,C), at last (B,T,V)
		require.NoError(t, err)
	}
	loss, err := gptblock.CrossEntropy(x, e.to, 0)
	require.NoError(t, err)
	e.prog, err = graph.Compile(loss, ps)
	require.NoError(t, err)
	t.Cleanup(func() { e.prog.Close() })
	gs, err := groups.Split(ps, groups.GPT2Policy())
	require.NoError(t, err)
	e.adamw, err = solvers.NewAdamW(gs, solvers.WithLR(0.05), solvers.WithMode(mode), solvers.WithWeightDecay(0.1),
		solvers.WithSchedule(solvers.WarmupCosine(2, everySteps, 0.1)), solvers.WithDecaySchedule(solvers.Linear(1, everySteps, 0.3)),
		solvers.WithClipGlobalNorm(0.5))
	require.NoError(t, err)
	return e
}

// run trains up to step, two micro-batches a step, and returns the metrics.
func (e *everything) run(t *testing.T, step int) (metrics []graph.Result) {
	t.Helper()
	for e.prog.Steps() < step {
		var feeds []graph.Feed
		for micro := range 2 {
			x, y := make([]int32, everyB*everyT), make([]int32, everyB*everyT)
			for i := range x {
				x[i], y[i] = int32((e.prog.Steps()*7+micro*3+i*i)%everyV), int32((i+micro)%everyV)
			}
			for i := range micro + 1 { // micro-batches of unequal weight
				y[i] = gptblock.IgnoreIndex
			}
			feeds = append(feeds, graph.Feed{e.ids: x, e.to: y})
		}
		r, err := e.prog.Step(context.Background(), e.adamw, feeds...)
		require.NoError(t, err)
		metrics = append(metrics, r)
	}
	return metrics
}

func (e *everything) bits(t *testing.T) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	for _, p := range e.params.All() {
		f32, _, err := graph.Floats(p.Value())
		require.NoError(t, err)
		out[p.Name()] = slices.Clone(f32)
	}
	return out
}

// For every k: stop after step k, save, and go on from the disk with the
// parameters registered in another order and on another number of threads.
func TestEverythingResumesInTheSameBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	threads := []int{1, 2, 3, 8}
	for _, mode := range []solvers.Mode{solvers.LRCoupled, solvers.Independent, solvers.Corrected} {
		t.Run(mode.String(), func(t *testing.T) {
			whole := newEverything(t, mode, "table", "norm", "head")
			want := whole.run(t, everySteps)
			for k := 1; k < everySteps; k++ {
				runtime.GOMAXPROCS(threads[k%len(threads)])
				first := newEverything(t, mode, "table", "norm", "head")
				metrics := first.run(t, k)
				store, err := checkpoint.NewStore(t.TempDir(), 1)
				require.NoError(t, err)
				_, err = store.Save(checkpoint.Snapshot{Step: k, Params: first.params, Solver: first.adamw.StateView(), Config: mode, State: k, Corpus: "made"})
				require.NoError(t, err)

				runtime.GOMAXPROCS(threads[(k+1)%len(threads)])
				second := newEverything(t, mode, "head", "table", "norm")
				saved, damaged, err := store.Latest()
				require.NoError(t, err)
				require.Empty(t, damaged)
				require.NoError(t, saved.Restore(second.params, second.adamw))
				require.NoError(t, second.prog.SetSteps(saved.Step()))
				metrics = append(metrics, second.run(t, everySteps)...)

				at := fmt.Sprintf("stopped after step %d", k)
				require.Equal(t, want, metrics, at)
				require.Equal(t, whole.bits(t), second.bits(t), at)
				require.Equal(t, whole.adamw.State(), second.adamw.State(), at)
			}
		})
	}
}
