package kernel

import (
	"math"
	"testing"
)

func TestExpOverWholeRange(t *testing.T) { eachImpl(t, testExpOverWholeRange) }

func testExpOverWholeRange(t *testing.T) {
	x := sweep32(1<<18, 110)
	y := make([]float32, len(x))
	Exp(y, x)
	worst := 0.0
	for i, v := range x {
		e := ulp32(y[i], math.Exp(float64(v)))
		if !(e <= 2) {
			t.Fatalf("exp(%v) = %v, off by %v ulp", v, y[i], e)
		}
		worst = max(worst, e)
	}
	t.Logf("largest error %.3f ulp", worst)
}
