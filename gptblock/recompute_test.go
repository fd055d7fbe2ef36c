package gptblock_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

func TestRecomputedModelsHaveTheSameGradients(t *testing.T) {
	for _, name := range modelGoldens {
		t.Run(name, func(t *testing.T) {
			var loss [2]float64
			var grads [2]gradients
			for i, again := range []bool{false, true} {
				m := newGoldenModel(t, name, tensor.Float64, func(c *gptblock.Config) { c.Recompute = again })
				prog, err := graph.Compile(m.loss, m.params)
				require.NoError(t, err)
				defer prog.Close()
				grads[i] = gradients{}
				for range 2 { // the second run finds the buffers as the first left them
					r, err := prog.Step(context.Background(), grads[i], m.batch(t, 0))
					require.NoError(t, err)
					loss[i] = r.Loss
				}
			}
			require.Equal(t, loss[0], loss[1])
			require.Equal(t, len(grads[0]), len(grads[1]))
			for name, g := range grads[0] {
				// Where gradients of several uses are added, the order differs.
				require.LessOrEqual(t, golden.RelErr(grads[1][name], g), 1e-14, name)
			}
		})
	}
}

func TestRecomputedDropoutDrawsTheSameMasks(t *testing.T) {
	c := everything()
	plain := newTrainer(t, c, 3, 5, graph.WithDtype(tensor.Float64))
	c.Recompute = true
	again := newTrainer(t, c, 3, 5, graph.WithDtype(tensor.Float64))
	for _, step := range []int{0, 7} {
		l0, g0 := plain.step(t, step)
		l1, g1 := again.step(t, step)
		require.Equal(t, l0, l1)
		for name, g := range g0 {
			require.LessOrEqual(t, golden.RelErr(g1[name], g), 1e-14, name)
		}
	}
}

func TestRecomputingSavesMemory(t *testing.T) {
	c := small()
	c.Layers, c.Heads, c.Channels, c.Context, c.Hidden = 12, 4, 64, 128, 0
	heap := func(recompute bool) uint64 {
		c.Recompute = recompute
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tr := newTrainer(t, c, 4, 128)
		tr.step(t, 0)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(tr)
		return after.HeapAlloc - before.HeapAlloc
	}
	kept, recomputed := heap(false), heap(true)
	require.Less(t, recomputed, kept/2, "%d bytes instead of %d", recomputed, kept)
}
