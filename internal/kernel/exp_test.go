package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExpOverWholeRange(t *testing.T) {
	x := sweep32(1<<18, 110)
	y := make([]float32, len(x))
	Exp(y, x)
	worst := 0.0
	for i, v := range x {
		e := ulp32(y[i], math.Exp(float64(v)))
		require.LessOrEqual(t, e, 2.0, "exp(%v) = %v", v, y[i])
		worst = max(worst, e)
	}
	t.Logf("largest error %.3f ulp", worst)
}
