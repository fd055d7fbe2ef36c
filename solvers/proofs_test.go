package solvers_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// newAdamW is an AdamW over all parameters of b, all decayed.
func newAdamW(t *testing.T, b *bench, opts ...solvers.AdamWOption) *solvers.AdamW {
	t.Helper()
	s, err := solvers.NewAdamW(b.split(groups.DecayAllPolicy()), opts...)
	require.NoError(t, err)
	return s
}

// descend takes steps with the gradient that grad computes from the weights.
func descend(t *testing.T, s stateful, p *pair, steps int, grad func(w []float64, t int) []float64) []float64 {
	t.Helper()
	for range steps {
		p.set(grad(p.weights(), s.Steps()+1)...)
		require.NoError(t, s.Step([]gorgonia.ValueGrad{p}))
	}
	return p.weights()
}

// run descends with one float64 parameter w.
func run(t *testing.T, start []float64, steps int, grad func(w []float64, t int) []float64, opts ...solvers.AdamWOption) []float64 {
	t.Helper()
	b := newBench(t)
	p := b.add("w", graph.Bias, float64s([]int{len(start)}, start...))
	s := newAdamW(t, b, opts...)
	return descend(t, s, p, steps, grad)
}

func noGrad(w []float64, _ int) []float64 { return make([]float64, len(w)) }

// quadratic is the gradient of 1/2 sum (i+1) (w_i - 1/2)^2.
func quadratic(w []float64, _ int) []float64 {
	g := make([]float64, len(w))
	for i := range g {
		g[i] = float64(i+1) * (w[i] - 0.5)
	}
	return g
}

// Numbers that torch.optim.AdamW gives in every digit shown.
func TestTraceQuadratic(t *testing.T) {
	start := []float64{1, -2, 0.25}
	opts := []solvers.AdamWOption{solvers.WithLR(1e-2), solvers.WithWeightDecay(0.1)}
	assert.InDeltaSlice(t, []float64{0.989000000200, -1.988000000020, 0.259749999867}, run(t, start, 1, quadratic, opts...), 1e-12)
	assert.InDeltaSlice(t, []float64{0.945219157181, -1.940141279459, 0.298437497198}, run(t, start, 5, quadratic, opts...), 1e-12)
}

func TestTraceNoGradient(t *testing.T) {
	got := run(t, []float64{1, -2, 0.25}, 5, noGrad, solvers.WithLR(1e-2), solvers.WithWeightDecay(0.1))
	assert.InDeltaSlice(t, []float64{0.995009990004999, -1.990019980009998, 0.248752497501249}, got, 1e-15)
}

// The three meanings of decoupled decay under warm-up and cosine.
func TestTraceModes(t *testing.T) {
	grad := func(w []float64, t int) []float64 {
		g := make([]float64, len(w))
		for i := range g {
			g[i] = math.Sin(3*w[i]+float64(i)) + 0.1*float64(t)*math.Pow(-1, float64(i))
		}
		return g
	}
	for _, c := range []struct {
		mode   solvers.Mode
		lambda float64
		want   []float64
	}{
		{solvers.LRCoupled, 0.1, []float64{0.765851825431369, -0.566445670435311, 0.068032052106708, 1.992351245984670}},
		{solvers.Independent, 1e-3, []float64{0.760118613368055, -0.562169613342069, 0.067409286850940, 1.977093421668680}},
		{solvers.Corrected, 0.1, []float64{0.766480042145110, -0.566912800580107, 0.068096004963306, 1.994012527870832}},
	} {
		got := run(t, []float64{0.8, -0.6, 0.1, 2}, 20, grad, solvers.WithLR(3e-3), solvers.WithMode(c.mode),
			solvers.WithWeightDecay(c.lambda), solvers.WithBetas(0.9, 0.95), solvers.WithSchedule(solvers.WarmupCosine(3, 21, 0)))
		assert.InDeltaSlice(t, c.want, got, 2e-15, c.mode)
	}
}

// Keras's adamw_test.
func TestKerasNumbers(t *testing.T) {
	got := run(t, []float64{1, 2, 3, 4}, 1, func([]float64, int) []float64 { return []float64{1, 6, 7, 2} },
		solvers.WithLR(0.5), solvers.WithWeightDecay(0.004))
	assert.InDeltaSlice(t, []float64{0.4980, 1.4960, 2.494, 3.492}, got, 1e-6)

	b := newBench(t)
	decayed := b.add("w", graph.Weight, float64s([]int{1, 1}, 2))
	excluded := b.add("b", graph.Bias, float64s([]int{1}, 2))
	s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()), solvers.WithLR(1), solvers.WithWeightDecay(0.004))
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, s.Step(b.list()))
	}
	assert.InDelta(t, 1.9760959, decayed.weights()[0], 1e-7)
	assert.Equal(t, []float64{2}, excluded.weights())
}

// T1: without gradients the weights shrink by the product of 1 - lr_t lambda,
// the moments stay zero and what is exempt does not move.
func TestZeroGradientsShrinkInClosedForm(t *testing.T) {
	b := newBench(t)
	decayed := b.add("w", graph.Weight, float64s([]int{2, 2}, 1, -3, 1e-9, 4e7))
	exempt := b.add("b", graph.Bias, float64s([]int{3}, 0.1, -0.7, 1e300))
	before := exempt.weights()
	sched := solvers.WarmupCosine(5, 30, 0.1)
	s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()), solvers.WithLR(0.02), solvers.WithWeightDecay(0.3), solvers.WithSchedule(sched))
	require.NoError(t, err)
	want := decayed.weights()
	for step := 1; step <= 40; step++ {
		require.NoError(t, s.Step(b.list()))
		for i := range want {
			want[i] *= 1 - 0.02*sched.At(step)*0.3
		}
	}
	assert.Equal(t, want, decayed.weights())
	assert.Equal(t, before, exempt.weights(), "bit-identical")
	for _, p := range s.State().Params {
		for name, x := range p.Tensors {
			for _, v := range elements(x) {
				assert.Zero(t, v, name)
			}
		}
	}
}

// T2: a factor on the loss changes nothing, which coupled L2 does not give.
func TestLossScaleInvariance(t *testing.T) {
	times := func(c float64) func([]float64, int) []float64 {
		return func(w []float64, step int) []float64 {
			g := quadratic(w, step)
			for i := range g {
				g[i] *= c
			}
			return g
		}
	}
	opts := []solvers.AdamWOption{solvers.WithLR(1e-2), solvers.WithWeightDecay(0.1), solvers.WithEps(0)}
	start := []float64{1, -2, 0.25}
	assert.InDeltaSlice(t, run(t, start, 50, times(1), opts...), run(t, start, 50, times(1000), opts...), 5e-16)
}

// T7: weight decay does not enter the moments of the first step.
func TestDecayStaysOutOfTheMoments(t *testing.T) {
	moments := func(lambda float64) map[string][]float64 {
		b := newBench(t)
		p := b.add("w", graph.Bias, float32s([]int{3}, 5, -6, 7))
		p.set(0.3, -2, 1e-4)
		s := newAdamW(t, b, solvers.WithWeightDecay(lambda))
		require.NoError(t, s.Step(b.list()))
		out := map[string][]float64{}
		for name, x := range s.State().Params["w"].Tensors {
			out[name] = elements(x)
		}
		return out
	}
	assert.Equal(t, moments(0), moments(0.1))
}

// T8: without gradients only the product lr_t lambda_t matters.
func TestOnlyTheProductOfLRAndDecayMatters(t *testing.T) {
	up := solvers.Func(func(step int) float64 { return math.Ldexp(1, step%5-4) })
	start := []float64{1, -2, 0.25}
	a := run(t, start, 25, noGrad, solvers.WithLR(0.5), solvers.WithSchedule(up), solvers.WithWeightDecay(0.125))
	b := run(t, start, 25, noGrad, solvers.WithLR(0.25), solvers.WithWeightDecay(0.25), solvers.WithDecaySchedule(up))
	assert.Equal(t, a, b)
	assert.NotEqual(t, start, a)
}

// T9: Independent with lambda' = lr lambda is LRCoupled with lambda.
func TestIndependentIsLRCoupledRescaled(t *testing.T) {
	start := []float64{1, -2, 0.25}
	sched := solvers.WithSchedule(solvers.Linear(4, 40, 0.1))
	a := run(t, start, 30, quadratic, solvers.WithLR(0.25), sched, solvers.WithWeightDecay(0.1))
	b := run(t, start, 30, quadratic, solvers.WithLR(0.25), sched, solvers.WithWeightDecay(0.25*0.1), solvers.WithMode(solvers.Independent))
	assert.InDeltaSlice(t, a, b, 1e-15)
}

// T10: Corrected at a constant learning rate is LRCoupled, exactly.
func TestCorrectedAtConstantLRIsAdamW(t *testing.T) {
	start := []float64{1, -2, 0.25}
	a := run(t, start, 30, quadratic, solvers.WithLR(3e-3), solvers.WithWeightDecay(0.1))
	b := run(t, start, 30, quadratic, solvers.WithLR(3e-3), solvers.WithWeightDecay(0.1), solvers.WithMode(solvers.Corrected))
	assert.Equal(t, a, b)
}

func TestGroupMode(t *testing.T) {
	b := newBench(t)
	w := b.add("w", graph.Weight, float64s([]int{1, 1}, 1))
	head := b.add("head", graph.LMHead, float64s([]int{1, 1}, 1))
	gs, err := groups.New(b.params, []groups.Group{{Name: "body", Params: b.params.All()[:1]}, {Name: "head", Params: b.params.All()[1:]}})
	require.NoError(t, err)
	half := solvers.WithSchedule(solvers.Func(func(int) float64 { return 0.5 }))
	s, err := solvers.NewAdamW(gs, solvers.WithLR(0.5), solvers.WithWeightDecay(0.5), half,
		solvers.WithMode(solvers.Corrected), solvers.WithGroupMode("head", solvers.LRCoupled))
	require.NoError(t, err)
	require.NoError(t, s.Step(b.list()))
	assert.Equal(t, []float64{1 - 0.5*0.5*0.5*0.5}, w.weights())
	assert.Equal(t, []float64{1 - 0.5*0.5*0.5}, head.weights())
}

// A group's own settings are those of a solver made with them.
func TestGroupSettingsOverrideTheSolver(t *testing.T) {
	v := groups.Value
	start := []float64{1, -2, 0.25}
	b := newBench(t)
	p := b.add("w", graph.Bias, float64s([]int{3}, start...))
	gs, err := groups.New(b.params, []groups.Group{{Name: "all", Params: b.params.All(), Settings: groups.Settings{
		LRMult: v(0.5), WeightDecay: v(0.2), Beta1: v(0.8), Beta2: v(0.7), Eps: v(1e-3)}}})
	require.NoError(t, err)
	s, err := solvers.NewAdamW(gs, solvers.WithLR(0.25))
	require.NoError(t, err)
	got := descend(t, s, p, 10, quadratic)
	want := run(t, start, 10, quadratic, solvers.WithLR(0.125), solvers.WithWeightDecay(0.2), solvers.WithBetas(0.8, 0.7), solvers.WithEps(1e-3))
	assert.Equal(t, want, got)
}

// Each option alone changes what happens: none is accepted and ignored.
func TestEveryOptionActs(t *testing.T) {
	start := []float64{1, -2, 0.25}
	plain := run(t, start, 5, quadratic)
	half := solvers.Func(func(int) float64 { return 0.5 })
	for name, o := range map[string]solvers.AdamWOption{
		"lr":             solvers.WithLR(2e-3),
		"schedule":       solvers.WithSchedule(half),
		"weight decay":   solvers.WithWeightDecay(0.5),
		"decay schedule": solvers.WithDecaySchedule(half),
		"mode":           solvers.WithMode(solvers.Independent),
		"group mode":     solvers.WithGroupMode("decay", solvers.Independent),
		"beta1":          solvers.WithBetas(0.5, 0.999),
		"beta2":          solvers.WithBetas(0.9, 0.5),
		"eps":            solvers.WithEps(1e-2),
		"amsgrad":        nil, // below: it needs gradients that shrink
		"maximize":       solvers.WithMaximize(),
		"clip":           solvers.WithClipGlobalNorm(1e-8),
		"scale":          solvers.WithGradScale(1e-8),
	} {
		if o != nil {
			assert.NotEqual(t, plain, run(t, start, 5, quadratic, o), name)
		}
	}
	falling := func(w []float64, step int) []float64 { return []float64{1 / float64(step*step), 1, -1} }
	short := solvers.WithBetas(0.9, 0.1)
	assert.NotEqual(t, run(t, start, 5, falling, short), run(t, start, 5, falling, short, solvers.WithAMSGrad()))
	minus := func(w []float64, step int) []float64 {
		g := quadratic(w, step)
		for i := range g {
			g[i] = -g[i]
		}
		return g
	}
	assert.Equal(t, run(t, start, 5, minus), run(t, start, 5, quadratic, solvers.WithMaximize()))
}

// The clip is over all groups together, and the norm is reported before it.
func TestClipIsGlobal(t *testing.T) {
	step := func(scaleA, scaleB float64, opts ...solvers.AdamWOption) (a, b []float64, norm float64) {
		x := newBench(t)
		p := x.add("a", graph.Weight, float64s([]int{1, 1}, 1))
		q := x.add("b", graph.Bias, float64s([]int{1}, 1))
		p.set(3 * scaleA)
		q.set(4 * scaleB)
		s, err := solvers.NewAdamW(x.split(groups.GPT2Policy()), append(opts, solvers.WithEps(1))...)
		require.NoError(t, err)
		require.NoError(t, s.Step(x.list()))
		return p.weights(), q.weights(), s.GradNorm()
	}
	a1, b1, norm := step(1, 1, solvers.WithClipGlobalNorm(2))
	assert.Equal(t, 5.0, norm)
	factor := 2 / (5 + 1e-6)
	a2, b2, _ := step(factor, factor)
	assert.InDeltaSlice(t, a2, a1, 1e-15)
	assert.InDeltaSlice(t, b2, b1, 1e-15)
	a3, b3, norm := step(10, 10, solvers.WithGradScale(0.1), solvers.WithClipGlobalNorm(2))
	assert.InDelta(t, 5, norm, 1e-12)
	assert.InDeltaSlice(t, a1, a3, 1e-15)
	assert.InDeltaSlice(t, b1, b3, 1e-15)
	a4, _, _ := step(1, 1, solvers.WithClipGlobalNorm(6))
	a5, _, _ := step(1, 1)
	assert.Equal(t, a5, a4, "below the norm nothing is clipped")
}

// Random orders of registration and of the list give the same bits.
func TestOrderDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := []string{"a", "b", "c", "d"}
	var want map[string][]float64
	for range 6 {
		b := newBench(t)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, name := range all {
			b.add(name, graph.Bias, float32s([]int{2}, float32(name[0]), 1))
		}
		s := newAdamW(t, b, solvers.WithClipGlobalNorm(0.5))
		for step := range 5 {
			list := b.list()
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			for name, p := range b.pairs {
				p.set(1/float64(name[0]), 1/float64(step+3))
			}
			require.NoError(t, s.Step(list))
		}
		got := map[string][]float64{}
		for name, p := range b.pairs {
			got[name] = p.weights()
		}
		if want == nil {
			want = got
		}
		assert.Equal(t, want, got)
	}
}
