package gptblock_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// plainGraph is a model and its loss in a graph that the user runs: the batch
// is bound, and no Program is involved.
func plainGraph(t *testing.T, c gptblock.Config) (*graph.Params, *gorgonia.Node) {
	t.Helper()
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, graph.WithDtype(tensor.Float64))
	require.NoError(t, err)
	m, err := gptblock.New(ps, c)
	require.NoError(t, err)
	bound := func(name string, add int) *gorgonia.Node {
		ids := make([]int32, 3*8)
		for i := range ids {
			ids[i] = int32((i*i + add) % c.Vocab)
		}
		v := tensor.New(tensor.WithShape(3, 8), tensor.WithBacking(ids))
		return gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(3, 8), gorgonia.WithName(name), gorgonia.WithValue(v))
	}
	loss, err := m.Loss(bound("tokens", 1), bound("targets", 2))
	require.NoError(t, err)
	return ps, loss
}

// tinyConfigs are one config for each way in which gradients flow.
func tinyConfigs() map[string]gptblock.Config {
	llama := llama()
	llama.Vocab, llama.Context, llama.Layers, llama.Channels, llama.Heads, llama.KVHeads, llama.Hidden = 11, 8, 2, 16, 4, 2, 20
	parallel, sandwich, experts := llama, llama, llama
	parallel.Block, parallel.Tied = gptblock.BlockParallel, true
	sandwich.Block, sandwich.Activation, sandwich.EmbeddingScale, sandwich.Tied = gptblock.BlockSandwich, gptblock.GeGLU, 4, true
	experts.Experts, experts.TopK, experts.Router, experts.RouterLossCoef = 4, 2, gptblock.RouterTopKSoftmax, .1
	return map[string]gptblock.Config{
		"gpt2": everything(), "llama": llama, "parallel": parallel, "sandwich": sandwich, "experts": experts,
	}
}

func TestBothMachinesAgree(t *testing.T) {
	for name, c := range tinyConfigs() {
		t.Run(name, func(t *testing.T) {
			ps, loss := plainGraph(t, c)
			_, err := gorgonia.Grad(loss, ps.Nodes()...)
			require.NoError(t, err)
			tape := gorgonia.NewTapeMachine(ps.Graph())
			defer tape.Close()
			require.NoError(t, tape.RunAll())

			ps2, loss2 := plainGraph(t, c)
			lisp := gorgonia.NewLispMachine(ps2.Graph())
			defer lisp.Close()
			require.NoError(t, lisp.RunAll())

			require.Equal(t, float64s(loss.Value()), float64s(loss2.Value()))
			for _, p := range ps.All() {
				want, err := p.Grad()
				require.NoError(t, err)
				got, err := ps2.Get(p.Name()).Grad()
				require.NoError(t, err)
				require.InDeltaSlice(t, float64s(want), float64s(got), 1e-12, p.Name())
			}
		})
	}
}

// Fine-tuning: whichever parameters are frozen, the gradients of the others are
// the same, though ops hand gradients to each other behind Gorgonia's back.
func TestGradientsOfASubset(t *testing.T) {
	for name, c := range tinyConfigs() {
		t.Run(name, func(t *testing.T) {
			gradients := func(keep func(i int) bool) map[string][]float64 {
				ps, loss := plainGraph(t, c)
				var wrt gorgonia.Nodes
				for i, p := range ps.All() {
					if keep(i) {
						wrt = append(wrt, p.Node())
					}
				}
				nodes, err := gorgonia.Grad(loss, wrt...)
				require.NoError(t, err)
				vm := gorgonia.NewTapeMachine(ps.Graph())
				defer vm.Close()
				require.NoError(t, vm.RunAll())
				got := map[string][]float64{}
				for i, n := range nodes {
					got[wrt[i].Name()] = float64s(n.Value())
				}
				return got
			}
			all := gradients(func(int) bool { return true })
			subsets := map[string]func(i int) bool{
				"even": func(i int) bool { return i%2 == 0 },
				"odd":  func(i int) bool { return i%2 == 1 },
				"late": func(i int) bool { return i >= len(all)/2 },
			}
			for i := range len(all) {
				subsets[fmt.Sprintf("%d alone", i)] = func(j int) bool { return j == i }
			}
			for which, keep := range subsets {
				for name, g := range gradients(keep) {
					require.Equal(t, all[name], g, "%s: %s", which, name)
				}
			}
		})
	}
}

// A user's own loop: BindDualValues and a solver of Gorgonia, which zeroes the
// gradients after each step.
func TestStockLoopTrains(t *testing.T) {
	for name, c := range tinyConfigs() {
		t.Run(name, func(t *testing.T) {
			c := c.Eval()
			bound, direct := train(t, c, true), train(t, c, false)
			require.InDeltaSlice(t, bound, direct, 1e-9, "the gradient is bound, or read where the ops leave it")
			require.Less(t, bound[len(bound)-1], bound[0]/2)
		})
	}
}

// train returns the losses of 60 steps of stock Adam.
func train(t *testing.T, c gptblock.Config, bind bool) (losses []float64) {
	t.Helper()
	ps, loss := plainGraph(t, c)
	_, err := gorgonia.Grad(loss, ps.Nodes()...)
	require.NoError(t, err)
	var opts []gorgonia.VMOpt
	if bind {
		opts = append(opts, gorgonia.BindDualValues(ps.Nodes()...))
	}
	vm := gorgonia.NewTapeMachine(ps.Graph(), opts...)
	defer vm.Close()
	adam := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(1e-2))
	for range 60 {
		require.NoError(t, vm.RunAll())
		losses = append(losses, float64s(loss.Value())[0])
		require.NoError(t, adam.Step(gorgonia.NodesToValueGrads(ps.Nodes())))
		vm.Reset()
	}
	return losses
}
