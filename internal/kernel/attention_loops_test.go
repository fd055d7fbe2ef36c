package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// attnStrips are the arguments of a loop over strips: two strips, and slices
// with one element a row.
type attnStrips[T Float] struct{ x, y, m, l, fall []T }

func newAttnStrips[T Float]() *attnStrips[T] {
	rng := rand.New(rand.NewPCG(11, 0))
	strip := func() []T { return normals[T](rng, attnStrip*attnLd, 3) }
	row := func() []T { return normals[T](rng, attnStrip, 3) }
	return &attnStrips[T]{strip(), strip(), row(), row(), row()}
}

var attnLoopNames = []string{"softmax", "probabilities", "softmaxBackward", "tanh", "tanhBackward", "scaleRows"}

func (s *attnStrips[T]) run(name string, rows, n int) {
	const factor = 0.7
	loops := attnLoopsOf[T]()
	switch name {
	case "softmax":
		loops.softmax(s.x, rows, n, factor, s.m, s.l, s.fall)
	case "probabilities":
		loops.probabilities(s.x, rows, n, factor, s.l)
	case "softmaxBackward":
		loops.softmaxBackward(s.x, s.y, rows, n, s.l, factor)
	case "tanh":
		loops.tanh(s.x, rows, n, factor)
	case "tanhBackward":
		loops.tanhBackward(s.x, s.y, rows, n)
	case "scaleRows":
		loops.scaleRows(s.x, rows, n, s.l)
	}
}

// TestAttnLoops compares every implementation of the loops over strips with
// the float64 one, for every number of rows and of columns. What lies outside
// of the rows and columns is compared too: it must not change.
func TestAttnLoops(t *testing.T) {
	eachImpl(t, func(t *testing.T) {
		for _, name := range attnLoopNames {
			for rows := 1; rows <= attnStrip; rows++ {
				for n := 16; n <= attnKeys; n += 16 {
					want, got := newAttnStrips[float64](), newAttnStrips[float32]()
					want.run(name, rows, n)
					got.run(name, rows, n)
					requireNear(t, name, want.x, got.x)
					requireNear(t, name, want.m[:rows], got.m[:rows])
					requireNear(t, name, want.l[:rows], got.l[:rows])
					requireNear(t, name, want.fall[:rows], got.fall[:rows])
				}
			}
		}
	})
}

// requireNear allows the error of the exponential of a rounded argument, which
// is below 16 here, and of few operations more.
func requireNear(t *testing.T, name string, want []float64, got []float32) {
	t.Helper()
	const tolerance = 32 * 0x1p-24
	for i, x := range want {
		if !(math.Abs(x-float64(got[i])) <= tolerance*max(1, math.Abs(x))) {
			require.Failf(t, "differs", "%s: element %d = %g, want %g", name, i, got[i], x)
		}
	}
}

// TestAttnTanh checks the absolute error that the cap of the logits relies on.
func TestAttnTanh(t *testing.T) {
	eachImpl(t, func(t *testing.T) {
		x := make([]float32, attnStrip*attnLd)
		at := func(i int) float64 { return float64(i-128) / 8 }
		for i := range attnKeys {
			x[i] = float32(at(i))
		}
		x[0], x[1] = float32(math.Inf(-1)), float32(math.Inf(1))
		attnLoopsOf[float32]().tanh(x, 1, attnKeys, 1)
		require.EqualValues(t, []float32{-1, 1}, x[:2])
		for i := 2; i < attnKeys; i++ {
			require.InDelta(t, math.Tanh(at(i)), x[i], 2*0x1p-23)
		}
	})
}
