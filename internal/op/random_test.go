package op

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// dropped runs y = drop(ones) and the gradient of sum(y) at a time of the clock.
func dropped(t *testing.T, shape tensor.Shape, seed uint64, stream uint32, step, micro int64,
	drop func(*gorgonia.Node, float64, Random) (*gorgonia.Node, error)) (y, dx []float64) {
	t.Helper()
	g := gorgonia.NewGraph()
	x, clock := matrix(g, "x", shape...), integers(g, "clock", tensor.Int64, 2)
	n, err := drop(x, .25, Random{Clock: clock, Seed: seed, Stream: stream})
	require.NoError(t, err)
	grads, err := gorgonia.Grad(gorgonia.Must(gorgonia.Sum(n)), x)
	require.NoError(t, err)
	ones := make([]float32, shape.TotalSize())
	for i := range ones {
		ones[i] = 1
	}
	require.NoError(t, runError(t, map[*gorgonia.Node]any{x: ones, clock: []int64{step, micro}}, n))
	return float64s(t, n.Value()), float64s(t, grads[0].Value())
}

func TestMasksAreAFunctionOfSeedStreamAndClock(t *testing.T) {
	for name, c := range map[string]struct {
		shape tensor.Shape
		drop  func(*gorgonia.Node, float64, Random) (*gorgonia.Node, error)
	}{
		"Dropout":  {tensor.Shape{40, 50}, Dropout},
		"DropPath": {tensor.Shape{2000, 1}, DropPath},
	} {
		t.Run(name, func(t *testing.T) {
			y, dx := dropped(t, c.shape, 1, 2, 3, 4, c.drop)
			require.Equal(t, y, dx, "forward and backward have the same mask")
			again, _ := dropped(t, c.shape, 1, 2, 3, 4, c.drop)
			require.Equal(t, y, again, "a replayed run has the same mask")
			kept := 0
			for _, v := range y {
				if v != 0 {
					kept++
					require.InDelta(t, 1/.75, v, 1e-6)
				}
			}
			// 2000 draws of 3/4: five standard deviations are 97.
			require.InDelta(t, 1500, kept, 97)

			differ := func(y2, _ []float64) {
				t.Helper()
				same := 0
				for i := range y {
					if y[i] == y2[i] {
						same++
					}
				}
				// Independent masks agree with probability 5/8.
				require.Less(t, math.Abs(float64(same)-1250), 5*math.Sqrt(2000*5./8*3/8))
			}
			differ(dropped(t, c.shape, 2, 2, 3, 4, c.drop))
			differ(dropped(t, c.shape, 1, 3, 3, 4, c.drop))
			differ(dropped(t, c.shape, 1, 2, 4, 4, c.drop))
			differ(dropped(t, c.shape, 1, 2, 3, 5, c.drop))
		})
	}
}
