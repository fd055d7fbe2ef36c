package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Helpers of the tests of vector loops: fenced unaligned slices, errors in
// ulp, numerical gradients.

// sentinel surrounds every slice that a kernel may write to.
const sentinel = -12345.5

// fenced returns a slice of n elements at an odd address, and a function
// that reports whether anything around it was written.
func fenced[T Float](n int) (x []T, intact func() bool) {
	const before, after = 17, 33
	buf := make([]T, before+n+after)
	for i := range buf {
		buf[i] = sentinel
	}
	return buf[before : before+n : before+n], func() bool {
		for i, v := range buf {
			if (i < before || i >= before+n) && v != sentinel {
				return false
			}
		}
		return true
	}
}

// randn is n normal values times std, the same on each call.
func randn[T Float](n int, std float64, seed uint64) []T {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	x, _ := fenced[T](n)
	for i := range x {
		x[i] = T(std * rng.NormFloat64())
	}
	return x
}

// ulp32 is the distance of got from the exact value want, in units of the
// last place of want as a float32.
func ulp32(got float32, want float64) float64 {
	rounded := float32(want)
	if got == rounded || math.IsNaN(want) && got != got {
		return 0
	}
	if math.IsInf(float64(rounded), 0) || math.IsInf(float64(got), 0) || got != got {
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	unit := math.Ldexp(1, max(e-24, -149))
	return math.Abs(float64(got)-want) / unit
}

// sweep32 is about n float32 values of both signs over the whole range, with
// the special values and, denser, the interval [-lim, lim].
func sweep32(n int, lim float32) []float32 {
	inf := float32(math.Inf(1))
	x := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()),
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32}
	step := uint32(0x7f800000 / (n / 4))
	for b := uint32(1); b < 0x7f800000; b += step {
		x = append(x, math.Float32frombits(b), -math.Float32frombits(b))
	}
	for i := 0; i <= n/2; i++ {
		x = append(x, lim*(2*float32(i)/float32(n/2)-1))
	}
	return x
}

// numericalGrad is df/dx by central differences.
func numericalGrad(x []float64, f func() float64) []float64 {
	const h = 1e-5
	grad := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + h
		up := f()
		x[i] = v - h
		grad[i] = (up - f()) / (2 * h)
		x[i] = v
	}
	return grad
}

func dot(a, b []float64) float64 {
	var sum float64
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// requireClose fails unless |got - want| <= tol (1 + |want|) everywhere.
func requireClose[G, W Float](t *testing.T, want []W, got []G, tol float64, what string, args ...any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if math.IsNaN(g) && math.IsNaN(w) || g == w {
			continue
		}
		if !(math.Abs(g-w) <= tol*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d = %v, want %v within %v", fmt.Sprintf(what, args...), i, g, w, tol)
		}
	}
}

// widen is x in float64.
func widen[T Float](x []T) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// eachLength calls f with 0..257 and a few lengths of several pieces.
func eachLength(f func(n int)) {
	for n := range 258 {
		f(n)
	}
	for _, n := range []int{grain - 1, grain + 77, 3*grain + 5} {
		f(n)
	}
}
