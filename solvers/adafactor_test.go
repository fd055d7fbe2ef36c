package solvers_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/golden"
	"github.com/gorget/gorget/solvers"
)

// TestAdafactorEqualsReference takes the 100 steps of every case of
// internal/golden/scripts/adafactor.py.
func TestAdafactorEqualsReference(t *testing.T) {
	f := golden.Load(t, "adafactor")
	var header struct {
		Steps     int
		Snapshots []int
		Cases     map[string]struct {
			Beta1             *float64
			DecayExponent     float64  `json:"decay_exponent"`
			ParameterScaling  bool     `json:"parameter_scaling"`
			ClippingThreshold *float64 `json:"clipping_threshold"`
			WeightDecay       *float64 `json:"weight_decay_exponent"`
			LR                float64
			Warm              int
		}
	}
	f.Header(t, &header)
	require.Len(t, header.Cases, 5)
	for name, c := range header.Cases {
		opts := []solvers.AdafactorOption{solvers.WithLR(c.LR), solvers.WithSchedule(solvers.InverseSqrt(0, c.Warm)),
			solvers.WithBeta2Exponent(c.DecayExponent)}
		if c.Beta1 == nil {
			opts = append(opts, solvers.WithMomentum(0))
		} else {
			opts = append(opts, solvers.WithMomentum(*c.Beta1))
		}
		if !c.ParameterScaling {
			opts = append(opts, solvers.WithoutParameterScaling())
		}
		if c.ClippingThreshold == nil {
			opts = append(opts, solvers.WithUpdateClip(math.Inf(1)))
		} else {
			opts = append(opts, solvers.WithUpdateClip(*c.ClippingThreshold))
		}
		if c.WeightDecay == nil {
			opts = append(opts, solvers.WithWeightDecay(0))
		} else {
			require.Equal(t, 2.0, *c.WeightDecay)
		}
		for _, dt := range []struct {
			label     string
			dtype     tensor.Dtype
			tolerance float64
		}{{"f64", tensor.Float64, 1e-12}, {"f32", tensor.Float32, 2e-6}} {
			t.Run(name+"/"+dt.label, func(t *testing.T) {
				b := newBench(t)
				grads := map[string][]golden.Tensor{}
				for param, init := range f.Under("init/") {
					b.add(param, graph.Bias, dense(init, dt.dtype))
					grads[param] = f.Tensor(t, "grad/"+param).Rows()
				}
				s, err := solvers.NewAdafactor(b.split(groups.DecayAllPolicy()), opts...)
				require.NoError(t, err)
				snap := 0
				for step := 1; step <= header.Steps; step++ {
					for param, p := range b.pairs {
						p.grad = dense(grads[param][step-1], dt.dtype)
					}
					require.NoError(t, s.Step(b.list()))
					if step != header.Snapshots[snap] {
						continue
					}
					state := s.State()
					for param, p := range b.pairs {
						row := func(kind string) []float64 {
							return f.Tensor(t, name+"/"+dt.label+"/"+kind+"/"+param).Rows()[snap].Float64()
						}
						require.LessOrEqual(t, golden.MaxDiff(p.weights(), row("param")), dt.tolerance, "%s after %d", param, step)
						if c.Beta1 != nil {
							require.LessOrEqual(t, golden.MaxDiff(elements(state.Params[param].Tensors["exp_avg"]), row("m")), dt.tolerance, "m of %s after %d", param, step)
						}
						require.LessOrEqual(t, golden.MaxDiff(elements(state.Params[param].Tensors["exp_avg_sq"]), row("v")), dt.tolerance, "v of %s after %d", param, step)
					}
					snap++
				}
				require.Equal(t, len(header.Snapshots), snap)
			})
		}
	}
}

// PaLM's decay is lr^2, not multiplied by the learning rate again, and a group
// can be exempt.
func TestAdafactorDecaysByTheSquareOfLR(t *testing.T) {
	b := newBench(t)
	decayed := b.add("w", graph.Weight, float64s([]int{1, 2}, 3, -4))
	exempt := b.add("b", graph.Bias, float64s([]int{1}, 5))
	s, err := solvers.NewAdafactor(b.split(groups.GPT2Policy()), solvers.WithLR(0.5), solvers.WithSchedule(solvers.InverseSqrt(0, 1)))
	require.NoError(t, err)
	want := 3.0
	for k := 1.0; k <= 5; k++ {
		require.NoError(t, s.Step(b.list()))
		want *= 1 - 0.25/k
		assert.InDelta(t, want, decayed.weights()[0], 1e-15)
		assert.Equal(t, []float64{5}, exempt.weights())
	}
}

// The first step is in closed form: beta2 is 0, so each element moves by
// (1-beta1) lr max(RMS(p), 1e-3) against the sign of its gradient.
func TestAdafactorFirstStep(t *testing.T) {
	b := newBench(t)
	large := b.add("large", graph.Bias, float64s([]int{2}, 3, -4))
	small := b.add("small", graph.Bias, float64s([]int{2}, 1e-6, 0))
	large.set(1e-3, -7)
	small.set(1e3, -1e-9)
	s, err := solvers.NewAdafactor(b.split(groups.DecayAllPolicy()), solvers.WithWeightDecay(0), solvers.WithLR(0.02), solvers.WithMomentum(0.75))
	require.NoError(t, err)
	require.NoError(t, s.Step(b.list()))
	step := 0.25 * 0.02 * math.Sqrt(12.5)
	assert.InDeltaSlice(t, []float64{3 - step, -4 + step}, large.weights(), 1e-15)
	step = 0.25 * 0.02 * 1e-3
	assert.InDeltaSlice(t, []float64{1e-6 - step, step}, small.weights(), 1e-15)
}

// Many pieces give what one would: RMS is over the whole parameter.
func TestAdafactorOfManyPieces(t *testing.T) {
	const n = 3*(1<<14) + 5
	start := make([]float64, n)
	grad := make([]float64, n)
	for i := range start {
		start[i] = math.Sin(float64(i))
		grad[i] = math.Cos(float64(3 * i))
	}
	b := newBench(t)
	p := b.add("w", graph.Bias, float64s([]int{n}, start...))
	s, err := solvers.NewAdafactor(b.split(groups.DecayAllPolicy()), solvers.WithUpdateClip(0.5))
	require.NoError(t, err)
	p.set(grad...)
	require.NoError(t, s.Step(b.list()))
	rms := 0.0
	for _, x := range start {
		rms += x * x
	}
	rms = math.Sqrt(rms / n)
	for i, w := range p.weights() {
		want := (1-1e-4)*start[i] - 0.1*1e-2*rms*0.5*math.Copysign(1, grad[i])
		require.InDelta(t, want, w, 1e-12, i)
	}
}
