package kernel

import "math"

// LayerNorm normalizes each row of x (rows, cols) to mean 0 and variance 1
// and applies the affine map (Ba, Kiros and Hinton 2016, arXiv:1607.06450):
//
//	y = (x - mean) rstd gain + bias,  rstd = 1/sqrt(var + eps)
//
// mean and rstd (rows), from sums in float64, are kept for the backward pass.
// bias may be nil. For float32 the error of y is at most
//
//	2^-24 (|gain| (rstd |mean| + 6 |x - mean| rstd) + 2 |bias|)
func LayerNorm[T Float](y, mean, rstd, x, gain, bias []T, rows, cols int, eps T) {
	checkLen("LayerNorm", rows*cols, y, x)
	checkLen("LayerNorm statistics", rows, mean, rstd)
	checkLen("LayerNorm gain", cols, gain)
	shift := rowsOrZeros(bias, 1, cols)
	defer shift.release()
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			mean[r], rstd[r] = l.layerNorm(row(y, r, cols), row(x, r, cols), gain[:cols], shift.row(0), eps)
		}
	})
}

// LayerNormBackward sets dx, dgain and dbias to the gradients of LayerNorm, and
// adds to dx the gradient that x has besides, by way of a residual connection.
// dbias and residual may be nil. dx may be dy or residual. For float32, x and dy
// of size 1 and |mean| <= 5 standard deviations, the error of dx is at most 2e-5
// (1 + |dx|), and that of dgain and dbias 1e-5 sqrt(rows) (1 + |dgain|).
func LayerNormBackward[T Float](dx, dgain, dbias, residual, dy, x, gain, mean, rstd []T, rows, cols int) {
	checkLen("LayerNormBackward", rows*cols, dx, dy, x)
	checkLen("LayerNormBackward statistics", rows, mean, rstd)
	checkLen("LayerNormBackward gain", cols, dgain, gain)
	besides := rowsOrZeros(residual, rows, cols)
	defer besides.release()
	l := loopsOf[T]()
	grads := workspace[T](2 * cols) // dgain, then dbias
	defer release(grads)
	sumOverRows(grads, rows, func(partial []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			l.normBackward(row(dx, r, cols), besides.row(r), partial[:cols], partial[cols:],
				row(dy, r, cols), row(x, r, cols), gain[:cols], mean[r], rstd[r])
		}
	})
	copy(dgain[:cols], grads)
	if dbias != nil {
		copy(dbias[:cols], grads[cols:])
	}
}

// layerNorm is LayerNorm of one row. The variance is that of the centred
// values: the difference of mean squares would cancel.
func (l *loops[T]) layerNorm(y, x, gain, bias []T, eps T) (mean, rstd T) {
	n := float64(len(x))
	mean = T(l.sum(x) / n)
	rstd = T(1 / math.Sqrt(l.sumSquaresAbout(x, mean)/n+float64(eps)))
	l.normalize(y, x, gain, bias, mean, rstd)
	return mean, rstd
}

// normBackward is the backward pass of one row; see normGradLoop.
func (l *loops[T]) normBackward(dx, residual, dgain, dbias, dy, x, gain []T, mean, rstd T) {
	n := float64(len(x))
	sumE, sumEH := l.normGradSums(dy, x, gain, mean, rstd)
	l.normGrad(dx, residual, dgain, dbias, dy, x, gain, mean, rstd, T(sumE/n), T(sumEH/n))
}
