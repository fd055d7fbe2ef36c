package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLog(t *testing.T) {
	for bits := uint32(1); bits < 0x7f800000; bits += 99991 {
		x := math.Float32frombits(bits)
		require.LessOrEqual(t, ulp32(log(x), math.Log(float64(x))), 1.0, "%g", x)
	}
	for i := -1000; i <= 1000; i++ { // where the result is small
		x := float32(1 + float64(i)*1e-6)
		require.LessOrEqual(t, ulp32(log(x), math.Log(float64(x))), 1.0, "%g", x)
	}
	inf := float32(math.Inf(1))
	require.Equal(t, inf, log(inf))
	require.Equal(t, -inf, log(float32(0)))
	require.True(t, math.IsNaN(float64(log(float32(-1)))))
	require.Equal(t, math.Log(3), log(3.))
}
