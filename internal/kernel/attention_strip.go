package kernel

import "math"

// Everything here works on a strip: attnStrip rows of a tile, of which it
// computes n columns, n a multiple of 16.

// attnMulRows computes C = A B, or C += A B: A (attnStrip,k) and C
// (attnStrip,n) are strips. B (k,n) has rows of stride bs and is cut into
// panels of attnPanel columns, the next one bp elements after the last.
func attnMulRows[T Float](c, a, b []T, bs, bp, n, k int, add bool) {
	var beta T
	if add {
		beta = 1
	}
	for j := 0; j < n; j += attnPanel {
		gemmSerial(false, false, attnStrip, min(attnPanel, n-j), k, 1, a, attnLd, b[j/attnPanel*bp:], bs, beta, c[j:], attnLd)
	}
}

// attnMulCols computes C += A' B, where A (k,attnStrip) are columns of a tile,
// B (k,n) rows of another and C (attnStrip,n) has rows of stride ldc.
func attnMulCols[T Float](c []T, ldc int, a, b []T, n, k int) {
	gemmSerial(true, false, attnStrip, n, k, 1, a, attnLd, b, attnLd, 1, c, ldc)
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

// attnSoftmax folds a strip of scores x into the running maximum m and sum l
// of each row and makes them exp(factor*x - m), m being the new maximum. fall
// is by how much the row's earlier exponentials fall: exp(old m - m).
func attnSoftmax[T Float](x []T, n int, factor T, m, l, fall []T) {
	for r := 0; r < attnStrip; r++ {
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

// attnScaleRows multiplies the rows of the strip x by scale.
func attnScaleRows[T Float](x []T, n int, scale []T) {
	for r := 0; r < attnStrip; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i := range row {
			row[i] *= scale[r]
		}
	}
}

// attnProbabilities makes the scores x of a strip exp(factor*x - lse).
func attnProbabilities[T Float](x []T, n int, factor T, lse []T) {
	for r := 0; r < attnStrip; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i, v := range row {
			row[i] = exp(factor*v - lse[r])
		}
	}
}

// attnSoftmaxBackward makes the gradients dp of a strip of probabilities p the
// gradients of the scores: p * (dp - delta) * scale.
func attnSoftmaxBackward[T Float](dp, p []T, n int, delta []T, scale T) {
	for r := 0; r < attnStrip; r++ {
		row, prob := dp[r*attnLd:r*attnLd+n], p[r*attnLd:r*attnLd+n]
		for i, v := range row {
			row[i] = prob[i] * (v - delta[r]) * scale
		}
	}
}

// attnTanh makes the scores x of a strip tanh(factor*x).
func attnTanh[T Float](x []T, n int, factor T) {
	for r := 0; r < attnStrip; r++ {
		row := x[r*attnLd : r*attnLd+n]
		for i, v := range row {
			row[i] = T(math.Tanh(float64(factor * v)))
		}
	}
}

// attnTanhBackward makes the gradients dx of a strip of t = tanh(x), up to the
// factor of the scores, those of x: dx * (1 - t*t).
func attnTanhBackward[T Float](dx, t []T, n int) {
	for r := 0; r < attnStrip; r++ {
		row, tanh := dx[r*attnLd:r*attnLd+n], t[r*attnLd:r*attnLd+n]
		for i := range row {
			row[i] *= 1 - tanh[i]*tanh[i]
		}
	}
}

// attnRowDots computes the dot products of the rows of a and b, of D channels.
func attnRowDots[T Float](dots, a []T, lda int, b []T, ldb, D int) {
	for r := range dots {
		var sum T
		for d, x := range a[r*lda : r*lda+D] {
			sum += x * b[r*ldb+d]
		}
		dots[r] = sum
	}
}
