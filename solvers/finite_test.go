package solvers_test

import (
	"fmt"
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

// stateful is what AdamW and Adafactor share.
type stateful interface {
	gorgonia.Solver
	State() solvers.State
	Restore(solvers.State) error
	Steps() int
	GradNorm() float64
}

// image is all that a step may change, as comparable data.
func image(b *bench, s stateful) string {
	out := fmt.Sprint(s.Steps(), " ", s.GradNorm(), "\n")
	state := s.State()
	for _, name := range b.order {
		p := b.pairs[name]
		out += fmt.Sprint(name, " ", p.weights(), " ", state.Params[name].Step)
		if p.grad != nil {
			out += fmt.Sprint(" ", elements(p.grad))
		}
		for _, kind := range []string{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"} {
			if x := state.Params[name].Tensors[kind]; x != nil {
				out += fmt.Sprint(" ", elements(x))
			}
		}
		out += "\n"
	}
	return out
}

// Whatever is wrong with one parameter, no parameter moves.
func TestAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		weight float64 // of the third parameter
		grad   float64
		warm   bool // after a good step, and a good one can follow
		opts   []solvers.AdamWOption
		want   string
	}{
		{"NaN", 1, math.NaN(), true, nil, "gradient[1] = NaN"},
		{"+Inf", 1, math.Inf(1), true, nil, "gradient[1] = +Inf"},
		{"-Inf", 1, math.Inf(-1), true, nil, "gradient[1] = -Inf"},
		{"square overflows", 1, 1e30, true, nil, "exp_avg_sq[1] = +Inf"},
		{"square overflows, amsgrad", 1, 1e30, true, []solvers.AdamWOption{solvers.WithAMSGrad()}, "exp_avg_sq[1] = +Inf"},
		{"scale overflows", 1, 1e4, true, []solvers.AdamWOption{solvers.WithGradScale(1e17)}, "exp_avg_sq[1] = +Inf"},
		{"0/0", 1, 0, false, []solvers.AdamWOption{solvers.WithEps(0)}, "weight[1] = NaN"},
		{"weight overflows", -math.MaxFloat32, 1, false, []solvers.AdamWOption{solvers.WithLR(1e37), solvers.WithWeightDecay(0)}, "weight[1] = -Inf"},
		{"weight is NaN in a rehearsed step", math.NaN(), 1, false, []solvers.AdamWOption{solvers.WithEps(0)}, "weight[1] = NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.add("a", graph.Bias, float64s([]int{2}, 1, 2))
			b.add("b", graph.Bias, float32s([]int{2}, 1, 2))
			bad := b.add("c", graph.Bias, float32s([]int{2}, 1, float32(c.weight)))
			s := newAdamW(t, b, c.opts...)
			good := func() {
				for _, p := range b.pairs {
					p.set(0.25, -0.5)
				}
			}
			if c.warm {
				good()
				require.NoError(t, s.Step(b.list()))
			}
			good()
			bad.set(1, c.grad)
			before := image(b, s)
			err := s.Step(b.list())
			require.ErrorIs(t, err, solvers.ErrNonFinite)
			require.ErrorContains(t, err, c.want)
			var pe *solvers.ParamError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, "c", pe.Param)
			require.Equal(t, before, image(b, s))
			if c.warm {
				good()
				require.NoError(t, s.Step(b.list()))
			}
		})
	}
}

// Large numbers that stay within their type are not refused.
func TestLargeButFinite(t *testing.T) {
	b := newBench(t)
	p := b.add("a", graph.Bias, float32s([]int{3}, math.MaxFloat32, -math.MaxFloat32, 1))
	q := b.add("b", graph.Bias, float64s([]int{2}, math.MaxFloat64, 1))
	s := newAdamW(t, b)
	p.set(1e18, -1e18, 1e-38)
	q.set(1e150, -1e150)
	require.NoError(t, s.Step(b.list()))
	assert.InDelta(t, math.Sqrt(2)*1e150, s.GradNorm(), 1e136)

	// The norm of these overflows float64, and clipping brings them back.
	clipped := newAdamW(t, b, solvers.WithClipGlobalNorm(1))
	p.set(1, 1, 1)
	q.set(3e200, -4e200)
	require.NoError(t, clipped.Step(b.list()))
	assert.InDelta(t, 5e200, clipped.GradNorm(), 1e186)
	assert.InDeltaSlice(t, []float64{0.1 * 0.6, -0.1 * 0.8}, elements(clipped.State().Params["b"].Tensors["exp_avg"]), 1e-12)
}

// Random steps at the edges of float32: a step that is accepted leaves only
// finite numbers, one that is refused changes nothing.
func TestNothingNonFiniteIsEverWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	extreme := func() float64 {
		switch rng.IntN(6) {
		case 0:
			return 0
		case 1:
			return math.MaxFloat32 * (1 - rng.Float64()*1e-7) * float64(1-2*rng.IntN(2))
		}
		return math.Ldexp(rng.Float64()-0.5, rng.IntN(270)-140)
	}
	accepted, refused := 0, 0
	for range 400 {
		b := newBench(t)
		p := b.add("p", graph.Bias, float32s([]int{3}, float32(extreme()), float32(extreme()), 1))
		gs := b.split(groups.DecayAllPolicy())
		lr := math.Ldexp(1, rng.IntN(240)-120)
		var s stateful
		var err error
		if rng.IntN(4) == 0 {
			s, err = solvers.NewAdafactor(gs, solvers.WithLR(lr), solvers.WithWeightDecay(0))
		} else {
			opts := []solvers.AdamWOption{solvers.WithLR(lr), solvers.WithWeightDecay(rng.Float64() / lr),
				solvers.WithEps([]float64{0, 1e-40, 1e-8, 1}[rng.IntN(4)]), solvers.WithBetas(rng.Float64(), 1-math.Ldexp(1, -rng.IntN(30)-1))}
			if rng.IntN(3) == 0 {
				opts = append(opts, solvers.WithAMSGrad())
			}
			s, err = solvers.NewAdamW(gs, opts...)
		}
		require.NoError(t, err)
		for range 8 {
			p.set(extreme(), extreme(), extreme())
			before := image(b, s)
			if err := s.Step(b.list()); err != nil {
				require.ErrorIs(t, err, solvers.ErrNonFinite)
				require.Equal(t, before, image(b, s))
				refused++
				continue
			}
			accepted++
			all := p.weights()
			for _, x := range s.State().Params["p"].Tensors {
				all = append(all, elements(x)...)
			}
			for _, x := range all {
				require.False(t, math.IsNaN(x) || math.IsInf(x, 0), "%v", all)
			}
		}
	}
	assert.Greater(t, accepted, 500)
	assert.Greater(t, refused, 500)
}
