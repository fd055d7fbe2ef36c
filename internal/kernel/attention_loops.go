package kernel

import "math"

// attnLoops are the inner loops of attention. The portable entries, named after
// the field with the suffix Loop, are the specification of the assembly that
// replaces them.
type attnLoops[T Float] struct {
	// These work on a strip: the given rows, at most attnStrip, of a tile, of
	// which they take n columns, n a multiple of 16. Slices with one element a
	// row have attnStrip elements all the same.
	softmax         func(x []T, rows, n int, factor T, m, l, fall []T)
	probabilities   func(x []T, rows, n int, factor T, lse []T)
	softmaxBackward func(dp, p []T, rows, n int, delta []T, scale T)
	tanh            func(x []T, rows, n int, factor T)
	tanhBackward    func(dx, t []T, rows, n int)
	scaleRows       func(x []T, rows, n int, scale []T)

	// These work on rows of D elements that are ld apart.
	copyRows func(dst []T, lddst int, src []T, ldsrc, rows, D int)
	dotRows  func(dots, a []T, lda int, b []T, ldb, rows, D int)

	rotateHalf func(dst []T, lddst int, src []T, ldsrc, rows, D int, cos, sin []T, sign T)
}

func portableAttnLoops[T Float]() attnLoops[T] {
	return attnLoops[T]{attnSoftmaxLoop[T], attnProbabilitiesLoop[T], attnSoftmaxBackwardLoop[T],
		attnTanhLoop[T], attnTanhBackwardLoop[T], attnScaleRowsLoop[T], copyRowsLoop[T], dotRowsLoop[T],
		rotateHalfLoop[T]}
}

// float32 has an implementation per instruction set, float64 this one.
var attnLoops64 = portableAttnLoops[float64]()

func attnLoopsOf[T Float]() *attnLoops[T] {
	if l, ok := any(&attnLoops64).(*attnLoops[T]); ok {
		return l
	}
	return any(&attnLoops32[currentLevel()]).(*attnLoops[T])
}

// lowest is where a running maximum begins. It is finite, so that the
// exponential of a hidden score, -Inf - lowest, is 0 and not NaN.
func lowest[T Float]() T {
	if _, ok := any(T(0)).(float32); ok {
		return -math.MaxFloat32
	}
	max64 := math.MaxFloat64
	return T(-max64)
}

// attnSoftmaxLoop folds the scores x into the running maximum m and sum l of
// each row and makes them exp(factor*x - m), m being the new maximum. fall is
// by how much the row's earlier exponentials fall: exp(old m - m).
func attnSoftmaxLoop[T Float](x []T, rows, n int, factor T, m, l, fall []T) {
	for r := 0; r < rows; r++ {
		row := x[r*attnLd : r*attnLd+n]
		top := m[r]
		for _, v := range row {
			top = max(top, factor*v)
		}
		fall[r] = exp(m[r] - top)
		var sum T
		for i, v := range row {
			row[i] = exp(factor*v - top)
			sum += row[i]
		}
		m[r], l[r] = top, l[r]*fall[r]+sum
	}
}

// attnScaleRowsLoop multiplies the rows of x by scale.
func attnScaleRowsLoop[T Float](x []T, rows, n int, scale []T) {
	for r := 0; r < rows; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i := range row {
			row[i] *= scale[r]
		}
	}
}

// attnProbabilitiesLoop makes the scores x exp(factor*x - lse).
func attnProbabilitiesLoop[T Float](x []T, rows, n int, factor T, lse []T) {
	for r := 0; r < rows; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i, v := range row {
			row[i] = exp(factor*v - lse[r])
		}
	}
}

// attnSoftmaxBackwardLoop makes the gradients dp of the probabilities p those of
// the scores: p * (dp - delta) * scale.
func attnSoftmaxBackwardLoop[T Float](dp, p []T, rows, n int, delta []T, scale T) {
	for r := 0; r < rows; r++ {
		row, prob := dp[r*attnLd:r*attnLd+n], p[r*attnLd:r*attnLd+n]
		for i, v := range row {
			row[i] = prob[i] * (v - delta[r]) * scale
		}
	}
}

// attnTanhLoop makes the scores x tanh(factor*x). In assembly the absolute error
// is below 2^-22, not the relative one.
func attnTanhLoop[T Float](x []T, rows, n int, factor T) {
	for r := 0; r < rows; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i, v := range row {
			row[i] = T(math.Tanh(float64(factor * v)))
		}
	}
}

// attnTanhBackwardLoop makes the gradients dx of t = tanh(x) those of x, up to
// the factor of the scores: dx * (1 - t*t).
func attnTanhBackwardLoop[T Float](dx, t []T, rows, n int) {
	for r := 0; r < rows; r++ {
		row, tanh := dx[r*attnLd:r*attnLd+n], t[r*attnLd:r*attnLd+n]
		for i := range row {
			row[i] *= 1 - tanh[i]*tanh[i]
		}
	}
}

// copyRowsLoop copies rows.
func copyRowsLoop[T Float](dst []T, lddst int, src []T, ldsrc, rows, D int) {
	for r := 0; r < rows; r++ {
		copy(dst[r*lddst:r*lddst+D], src[r*ldsrc:])
	}
}

// dotRowsLoop computes the dot products of the rows of a with those of b.
func dotRowsLoop[T Float](dots, a []T, lda int, b []T, ldb, rows, D int) {
	for r := 0; r < rows; r++ {
		var sum T
		for d, x := range a[r*lda : r*lda+D] {
			sum += x * b[r*ldb+d]
		}
		dots[r] = sum
	}
}
