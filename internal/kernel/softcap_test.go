package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSoftCap(t *testing.T) {
	const cap, h = 30.0, 1e-4
	x := []float64{0, 1e-9, -3, 29, 1e3, -1e300, math.Inf(1), math.NaN()}
	y, dx, dy := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	Fill(dy, 2)
	SoftCap(y, x, cap)
	SoftCapBackward(dx, y, dy, cap)
	for i, v := range x {
		if math.IsNaN(v) {
			require.True(t, math.IsNaN(y[i]) && math.IsNaN(dx[i]), "NaN propagates")
			continue
		}
		require.InDelta(t, cap*math.Tanh(v/cap), y[i], 1e-12)
		slope := 0.0
		if !math.IsInf(v, 0) {
			slope = cap * (math.Tanh((v+h)/cap) - math.Tanh((v-h)/cap)) / (2 * h)
		}
		require.InDelta(t, 2*slope, dx[i], 1e-7, "x = %v", v)
	}
}

func TestSoftCapEachLength(t *testing.T) { eachImpl(t, testSoftCapEachLength) }

func testSoftCapEachLength(t *testing.T) {
	const cap = 30
	check := func(x []float32) {
		n := len(x)
		dy := randn[float32](n, 1, 2)
		y, intact := fenced[float32](n)
		SoftCap(y, x, cap)
		require.True(t, intact(), "n = %d", n)
		dx, intact := fenced[float32](n)
		SoftCapBackward(dx, y, dy, cap)
		require.True(t, intact(), "n = %d", n)
		want, wantGrad := make([]float64, n), make([]float64, n)
		for i, v := range widen(x) {
			tanh := math.Tanh(v / cap)
			want[i], wantGrad[i] = cap*tanh, float64(dy[i])*(1-tanh*tanh)
		}
		requireClose(t, want, y, 3e-7*cap, "SoftCap n = %d", n)
		requireClose(t, wantGrad, dx, 2e-6, "SoftCapBackward n = %d", n)
	}
	eachLength(func(n int) { check(randn[float32](n, 40, 1)) })
	check(sweep32(1<<15, 400))
}
