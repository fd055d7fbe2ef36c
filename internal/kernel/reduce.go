package kernel

import (
	"math"
	"sync/atomic"
)

// reduceGrain is the length of the pieces of a reduction; it fixes the order
// of summation.
const reduceGrain = 1 << 16

// Sum returns the sum of x, accumulated in float64.
func Sum[T Float](x []T) float64 { return sumPieces(x, loopsOf[T]().sum) }

// SumSquares returns the sum of the squares of x, accumulated in float64: the
// square of the global norm is the sum of SumSquares over the gradients.
func SumSquares[T Float](x []T) float64 { return sumPieces(x, loopsOf[T]().sumSquares) }

// sumPieces adds f of each piece of x, in the order of the pieces.
func sumPieces[T Float](x []T, f func([]T) float64) float64 {
	if len(x) <= reduceGrain {
		return f(x)
	}
	partial := workspace[float64]((len(x) + reduceGrain - 1) / reduceGrain)
	defer release(partial)
	ParallelRange(len(x), reduceGrain, func(lo, hi int) { partial[lo/reduceGrain] = f(x[lo:hi]) })
	var total float64
	for _, p := range partial {
		total += p
	}
	return total
}

// MaxAbs returns the largest absolute value in x, 0 if x is empty, and NaN if
// x holds a NaN.
func MaxAbs[T Float](x []T) T {
	loop := loopsOf[T]().maxAbs
	if len(x) <= reduceGrain {
		return loop(x)
	}
	partial := workspace[T]((len(x) + reduceGrain - 1) / reduceGrain)
	defer release(partial)
	ParallelRange(len(x), reduceGrain, func(lo, hi int) { partial[lo/reduceGrain] = loop(x[lo:hi]) })
	return loop(partial)
}

// FirstNonFinite returns the index of the first NaN or infinity in x, or -1.
func FirstNonFinite[T Float](x []T) int {
	maxAbs := loopsOf[T]().maxAbs
	var first atomic.Int64
	first.Store(int64(len(x)))
	ParallelRange(len(x), reduceGrain, func(lo, hi int) {
		if int64(lo) >= first.Load() || finite(maxAbs(x[lo:hi])) {
			return
		}
		for finite(x[lo]) {
			lo++
		}
		for old := first.Load(); int64(lo) < old; old = first.Load() {
			if first.CompareAndSwap(old, int64(lo)) {
				return
			}
		}
	})
	if i := int(first.Load()); i < len(x) {
		return i
	}
	return -1
}

func finite[T Float](x T) bool { return x-x == 0 }

func sumLoop[T Float](x []T) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}

func sumSquaresLoop[T Float](x []T) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func maxAbsLoop[T Float](x []T) T {
	var m float64
	for _, v := range x {
		m = max(m, math.Abs(float64(v))) // max keeps a NaN
	}
	return T(m)
}
