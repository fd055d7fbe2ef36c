package solvers_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// Pinned: Gorgonia's own AdamW changes no weight, and says nothing. When this
// fails, Gorgonia has repaired it, and the documentation that says so is to be
// changed.
func TestStockAdamWTrainsNothing(t *testing.T) {
	g := gorgonia.NewGraph()
	w := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("w"),
		gorgonia.WithValue(float64s([]int{3}, 1, 1, 1)))
	cost := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(w))))
	_, err := gorgonia.Grad(cost, w)
	require.NoError(t, err)
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w))
	defer vm.Close()
	stock := gorgonia.NewAdamW()
	for range 5 {
		require.NoError(t, vm.RunAll())
		require.NoError(t, stock.Step(gorgonia.NodesToValueGrads(gorgonia.Nodes{w})))
		vm.Reset()
	}
	assert.Equal(t, []float64{1, 1, 1}, elements(w.Value()))
}

// What decoupling is held against: Gorgonia's Adam with L2 goes through its
// moments, so that where gradients vanish the step is lr, whatever lambda.
func TestStockAdamCouplesL2(t *testing.T) {
	stock := func(l2 float64, start []float64, steps int, grad func([]float64, int) []float64) []float64 {
		b := newBench(t)
		p := b.add("w", graph.Bias, float64s([]int{len(start)}, start...))
		s := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(1e-2), gorgonia.WithL2Reg(l2))
		for step := range steps {
			p.set(grad(p.weights(), step+1)...)
			require.NoError(t, s.Step(b.list()))
		}
		return p.weights()
	}
	start := []float64{1, -2, 0.25}
	assert.InDeltaSlice(t, []float64{0.990000000167, -1.990000000019, 0.259999999862}, stock(0.1, start, 1, quadratic), 1e-12)
	assert.InDeltaSlice(t, []float64{0.950089171384, -1.950017952104, 0.299758142766}, stock(0.1, start, 5, quadratic), 1e-12)
	assert.InDelta(t, 0.990000001, stock(0.1, []float64{1}, 1, noGrad)[0], 1e-12)
	assert.InDelta(t, 0.990099, stock(1e-6, []float64{1}, 1, noGrad)[0], 1e-6)
}

// onePair is a bench with a decayed and an exempt parameter, float64.
func onePair(t *testing.T) *bench {
	b := newBench(t)
	b.add("w", graph.Weight, float64s([]int{2, 2}, 1, -2, 3, -4))
	b.add("b", graph.Bias, float64s([]int{2}, 0.5, -0.5))
	return b
}

// push sets gradients that depend on weight and step.
func push(b *bench, step int) {
	for _, p := range b.pairs {
		g := p.weights()
		for i := range g {
			g[i] = 2*g[i] - float64(step)/10
		}
		p.set(g...)
	}
}

// One solver per group is that solver alone on the group's parameters.
func TestGroupedEqualsSolversByHand(t *testing.T) {
	for name, makeSolver := range map[string]func(lr, l2 float64) gorgonia.Solver{
		"adam": func(lr, l2 float64) gorgonia.Solver {
			return gorgonia.NewAdamSolver(gorgonia.WithLearnRate(lr), gorgonia.WithL2Reg(l2))
		},
		"sgd": func(lr, l2 float64) gorgonia.Solver {
			return gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(lr), gorgonia.WithL2Reg(l2))
		},
		"momentum": func(lr, l2 float64) gorgonia.Solver {
			return gorgonia.NewMomentum(gorgonia.WithLearnRate(lr), gorgonia.WithL2Reg(l2))
		},
		"rmsprop": func(lr, l2 float64) gorgonia.Solver {
			return gorgonia.NewRMSPropSolver(gorgonia.WithLearnRate(lr), gorgonia.WithL2Reg(l2))
		},
		"adagrad": func(lr, l2 float64) gorgonia.Solver {
			return gorgonia.NewAdaGradSolver(gorgonia.WithLearnRate(lr), gorgonia.WithL2Reg(l2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			grouped, alone := onePair(t), onePair(t)
			s, err := solvers.NewGrouped(grouped.split(groups.GPT2Policy()), func(g *groups.Group) (gorgonia.Solver, error) {
				l2 := 0.1
				if g.WeightDecay != nil {
					l2 = *g.WeightDecay
				}
				return makeSolver(0.01*g.Mult(), l2), nil
			})
			require.NoError(t, err)
			w, b := makeSolver(0.01, 0.1), makeSolver(0.01, 0)
			for step := 1; step <= 10; step++ {
				push(grouped, step)
				push(alone, step)
				list := grouped.list()
				if step%2 == 0 { // order is not the caller's business
					list[0], list[1] = list[1], list[0]
				}
				require.NoError(t, s.Step(list))
				require.NoError(t, w.Step([]gorgonia.ValueGrad{alone.pairs["w"]}))
				require.NoError(t, b.Step([]gorgonia.ValueGrad{alone.pairs["b"]}))
			}
			for name, p := range grouped.pairs {
				assert.Equal(t, alone.pairs[name].weights(), p.weights(), name)
				assert.Equal(t, make([]float64, len(p.weights())), elements(p.grad), "%s: gradients are zeroed", name)
			}
			assert.NotEqual(t, onePair(t).pairs["w"].weights(), grouped.pairs["w"].weights())
			require.IsType(t, w, s.Solver("decay"))
			require.Nil(t, s.Solver("no such group"))
			require.Equal(t, "gpt2", s.Groups().Policy())
		})
	}
}

// AdamW without decay is Gorgonia's Adam, whose mathematics is right.
func TestAdamWWithoutDecayIsStockAdam(t *testing.T) {
	ours, stock := onePair(t), onePair(t)
	a := newAdamW(t, ours, solvers.WithWeightDecay(0), solvers.WithLR(0.01))
	s := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.01))
	for step := 1; step <= 50; step++ {
		push(ours, step)
		push(stock, step)
		require.NoError(t, a.Step(ours.list()))
		require.NoError(t, s.Step(stock.list()))
	}
	for name, p := range ours.pairs {
		assert.InDeltaSlice(t, stock.pairs[name].weights(), p.weights(), 1e-13, name)
	}
}

// The clip is one for all groups, and comes before any of them moves.
func TestGroupedClipsGlobally(t *testing.T) {
	b := newBench(t)
	w := b.add("w", graph.Weight, float32s([]int{1, 1}, 1))
	c := b.add("b", graph.Bias, float64s([]int{1}, 1))
	s, err := solvers.NewGrouped(b.split(groups.GPT2Policy()), func(*groups.Group) (gorgonia.Solver, error) {
		return gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(1)), nil
	}, solvers.WithClipGlobalNorm(1), solvers.WithGradScale(0.5))
	require.NoError(t, err)
	w.set(6)
	c.set(8)
	require.NoError(t, s.Step(b.list()))
	assert.Equal(t, 5.0, s.GradNorm())
	assert.InDelta(t, 1-0.6, w.weights()[0], 1e-6)
	assert.InDelta(t, 1-0.8, c.weights()[0], 1e-6)
}

// An error of one group's solver names the group.
func TestGroupedNamesTheGroupThatFails(t *testing.T) {
	b := onePair(t)
	s, err := solvers.NewGrouped(b.split(groups.GPT2Policy()), func(g *groups.Group) (gorgonia.Solver, error) {
		if g.Name == groups.NoDecay {
			return broken{}, nil
		}
		return gorgonia.NewVanillaSolver(), nil
	})
	require.NoError(t, err)
	push(b, 1)
	err = s.Step(b.list())
	require.ErrorIs(t, err, assert.AnError)
	require.ErrorContains(t, err, "group no_decay")
}

type broken struct{}

func (broken) Step([]gorgonia.ValueGrad) error { return assert.AnError }

// A stock solver zeroes a gradient that two parameters share before the second
// has seen it; AdamW zeroes when all have moved.
func TestSharedGradient(t *testing.T) {
	b := newBench(t)
	p := b.add("p", graph.Bias, float64s([]int{1}, 1))
	q := b.add("q", graph.Bias, float64s([]int{1}, 1))
	q.grad = p.grad
	p.set(1)
	gs := b.split(groups.DecayAllPolicy())
	s, err := solvers.NewGrouped(gs, func(*groups.Group) (gorgonia.Solver, error) { return gorgonia.NewVanillaSolver(), nil })
	require.NoError(t, err)
	err = s.Step(b.list())
	require.ErrorIs(t, err, solvers.ErrSharedGrad)
	require.ErrorContains(t, err, "parameter q: with p")

	a := newAdamW(t, b)
	require.NoError(t, a.Step(b.list()))
	assert.Equal(t, p.weights(), q.weights())
	assert.Less(t, q.weights()[0], 0.9995)
	assert.Equal(t, []float64{0}, elements(p.grad))
}

func TestGroupWithoutParametersNeedsNoSolver(t *testing.T) {
	b := onePair(t)
	gs, err := groups.New(b.params, []groups.Group{{Name: "all", Params: b.params.All()}, {Name: "none", MayBeEmpty: true}})
	require.NoError(t, err)
	s, err := solvers.NewGrouped(gs, func(g *groups.Group) (gorgonia.Solver, error) {
		require.Equal(t, "all", g.Name)
		return gorgonia.NewVanillaSolver(), nil
	})
	require.NoError(t, err)
	push(b, 1)
	require.NoError(t, s.Step(b.list()))
	require.Nil(t, s.Solver("none"))
}

// A schedule for Gorgonia's Adam: what a loop by hand does, one group at half of
// the rate; a step that is refused does not count.
func TestWithBeforeStepIsAScheduleForStockSolvers(t *testing.T) {
	curve := solvers.WarmupCosine(3, 10, 0.1)
	grouped, alone := onePair(t), onePair(t)
	rate := func(step int, group string) float64 {
		if group == groups.NoDecay {
			return 0.005 * curve.At(step)
		}
		return 0.01 * curve.At(step)
	}
	s, err := solvers.NewGrouped(grouped.split(groups.GPT2Policy()), func(*groups.Group) (gorgonia.Solver, error) {
		return gorgonia.NewAdamSolver(), nil
	}, solvers.WithBeforeStep(func(step int, g *groups.Group, s gorgonia.Solver) {
		gorgonia.WithLearnRate(rate(step, g.Name))(s)
	}))
	require.NoError(t, err)
	w, b := gorgonia.NewAdamSolver(), gorgonia.NewAdamSolver()
	for step := 1; step <= 10; step++ {
		require.Error(t, s.Step(nil))
		push(grouped, step)
		push(alone, step)
		require.NoError(t, s.Step(grouped.list()))
		gorgonia.WithLearnRate(rate(step, groups.Decay))(w)
		gorgonia.WithLearnRate(rate(step, groups.NoDecay))(b)
		require.NoError(t, w.Step([]gorgonia.ValueGrad{alone.pairs["w"]}))
		require.NoError(t, b.Step([]gorgonia.ValueGrad{alone.pairs["b"]}))
	}
	for name, p := range grouped.pairs {
		require.Equal(t, alone.pairs[name].weights(), p.weights(), name)
	}
}
