package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// activations are the elementwise functions of one variable, with the exact
// value and derivative, written without cancellation in float64.
var activations = []struct {
	name            string
	forward         func(y, x []float32)
	backward        func(dx, x, dy []float32)
	forward64       func(y, x []float64)
	backward64      func(dx, x, dy []float64)
	value, gradient func(x float64) float64
}{
	{"GELUTanh",
		GELUTanh[float32], GELUTanhBackward[float32], GELUTanh[float64], GELUTanhBackward[float64],
		func(x float64) float64 { return x / (1 + math.Exp(-tanhArg(x))) },
		func(x float64) float64 {
			x = min(max(x, -100), 100)
			s, c := 1/(1+math.Exp(-tanhArg(x))), 1/(1+math.Exp(tanhArg(x)))
			return s + x*s*c*math.Sqrt(8/math.Pi)*(1+3*0.044715*x*x)
		}},
	{"GELUErf",
		GELUErf[float32], GELUErfBackward[float32], GELUErf[float64], GELUErfBackward[float64],
		func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		func(x float64) float64 {
			x = min(max(x, -100), 100)
			return math.Erfc(-x/math.Sqrt2)/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}},
	{"SiLU",
		SiLU[float32], SiLUBackward[float32], SiLU[float64], SiLUBackward[float64],
		func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		func(x float64) float64 {
			s, c := 1/(1+math.Exp(-x)), 1/(1+math.Exp(x))
			return s + x*s*c
		}},
}

// tanhArg is twice the argument of the tanh in GELUTanh.
func tanhArg(x float64) float64 { return math.Sqrt(8/math.Pi) * (x + 0.044715*x*x*x) }

// The error is bounded relative to max(1, |y|): the tails, where y falls to
// 0 from below, are exact to the same absolute error.
func TestActivationsOverWholeRange(t *testing.T) { eachImpl(t, testActivationsOverWholeRange) }

func testActivationsOverWholeRange(t *testing.T) {
	x := sweep32(1<<17, 15)
	ones := make([]float32, len(x))
	Fill(ones, 1)
	y := make([]float32, len(x))
	for _, a := range activations {
		a.forward(y, x)
		for i, v := range x {
			checkActivation(t, a.name, v, y[i], a.value(float64(v)))
		}
		a.backward(y, x, ones)
		for i, v := range x {
			if !math.IsInf(float64(v), 0) {
				checkActivation(t, a.name+"Backward", v, y[i], a.gradient(float64(v)))
			}
		}
	}
}

func checkActivation(t *testing.T, name string, x, got float32, want float64) {
	t.Helper()
	ok := math.Abs(float64(got)-want) <= 1e-6*max(1, math.Abs(want))
	if math.IsNaN(want) || math.IsInf(want, 0) {
		ok = got == float32(want) || math.IsNaN(want) && got != got
	}
	if !ok {
		t.Fatalf("%s(%v) = %v, want %v", name, x, got, want)
	}
}

func TestActivationsFloat64(t *testing.T) { eachImpl(t, testActivationsFloat64) }

func testActivationsFloat64(t *testing.T) {
	x := append(randn[float64](500, 3, 1), -40, -30, -22, 22, 40, 1e5, -1e5, 1e300, -1e300)
	dy := randn[float64](len(x), 1, 2)
	y, dx := make([]float64, len(x)), make([]float64, len(x))
	for _, a := range activations {
		a.forward64(y, x)
		a.backward64(dx, x, dy)
		for i, v := range x {
			require.InDelta(t, a.value(v), y[i], 1e-14*max(1, math.Abs(v)), "%s(%v)", a.name, v)
			require.InDelta(t, dy[i]*a.gradient(v), dx[i], 1e-14*max(1, math.Abs(dy[i])), "%s'(%v)", a.name, v)
		}
	}
}

func TestActivationsEachLength(t *testing.T) { eachImpl(t, testActivationsEachLength) }

func testActivationsEachLength(t *testing.T) {
	for _, a := range activations {
		eachLength(func(n int) {
			x, dy := randn[float32](n, 2, 3), randn[float32](n, 1, 4)
			y, intact := fenced[float32](n)
			a.forward(y, x)
			require.True(t, intact(), "%s wrote outside, n = %d", a.name, n)
			dx, intact := fenced[float32](n)
			a.backward(dx, x, dy)
			require.True(t, intact(), "%sBackward wrote outside, n = %d", a.name, n)
			want, wantGrad := make([]float64, n), make([]float64, n)
			for i, v := range widen(x) {
				want[i], wantGrad[i] = a.value(v), float64(dy[i])*a.gradient(v)
			}
			requireClose(t, want, y, 1e-6, "%s n = %d", a.name, n)
			requireClose(t, wantGrad, dx, 2e-6, "%sBackward n = %d", a.name, n)
			a.backward(dy, x, dy)
			require.Equal(t, dx, dy, "%sBackward in place, n = %d", a.name, n)
		})
	}
}

// gates are the gated units, by the index of their activation.
var gates = []struct {
	name       string
	activation int
	forward    func(y, gate, up []float32)
	backward   func(dgate, dup, gate, up, dy []float32)
}{
	{"SwiGLU", 2, SwiGLU[float32], SwiGLUBackward[float32]},
	{"GeGLU", 0, GeGLU[float32], GeGLUBackward[float32]},
}

func TestGatedUnits(t *testing.T) { eachImpl(t, testGatedUnits) }

func testGatedUnits(t *testing.T) {
	for _, g := range gates {
		a := activations[g.activation]
		eachLength(func(n int) {
			gate, up, dy := randn[float32](n, 2, 5), randn[float32](n, 1, 6), randn[float32](n, 1, 7)
			y, intact := fenced[float32](n)
			g.forward(y, gate, up)
			require.True(t, intact(), "%s wrote outside, n = %d", g.name, n)
			dgate, intactGate := fenced[float32](n)
			dup, intactUp := fenced[float32](n)
			g.backward(dgate, dup, gate, up, dy)
			require.True(t, intactGate() && intactUp(), "%sBackward wrote outside, n = %d", g.name, n)
			want, wantGate, wantUp := make([]float64, n), make([]float64, n), make([]float64, n)
			for i, x := range widen(gate) {
				u, d := float64(up[i]), float64(dy[i])
				want[i], wantGate[i], wantUp[i] = a.value(x)*u, d*u*a.gradient(x), d*a.value(x)
			}
			requireClose(t, want, y, 2e-6, "%s n = %d", g.name, n)
			requireClose(t, wantGate, dgate, 5e-6, "%s dgate n = %d", g.name, n)
			requireClose(t, wantUp, dup, 5e-6, "%s dup n = %d", g.name, n)
			g.backward(gate, up, gate, up, dy)
			require.Equal(t, dgate, gate, "%sBackward in place, n = %d", g.name, n)
			require.Equal(t, dup, up, "%sBackward in place, n = %d", g.name, n)
		})
	}
}
