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
