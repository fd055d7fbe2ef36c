package kernel

import "math"

// RMSNorm divides each row of x (rows, cols) by its root mean square (Zhang
// and Sennrich 2019, arXiv:1910.07467):
//
//	y = x rstd gain,  rstd = 1/sqrt(mean(x^2) + eps)
//
// rstd (rows) is kept for the backward pass. For float32 the error of y is at
// most 6 |y| 2^-24.
func RMSNorm[T Float](y, rstd, x, gain []T, rows, cols int, eps T) {
	checkLen("RMSNorm", rows*cols, y, x)
	checkLen("RMSNorm rstd", rows, rstd)
	checkLen("RMSNorm gain", cols, gain)
	zeros := rowsOrZeros[T](nil, 1, cols)
	defer zeros.release()
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			rstd[r] = l.rmsNorm(row(y, r, cols), row(x, r, cols), gain[:cols], zeros.row(0), eps)
		}
	})
}

// RMSNormBackward sets dx and dgain to the gradients of RMSNorm, and adds to dx
// the gradient that x has besides, by way of a residual connection. residual
// may be nil. dx may be dy or residual. For float32, x and dy of size 1, the
// error of dx is at most 5e-6 (1 + |dx|), and that of dgain 1e-6 sqrt(rows)
// (1 + |dgain|).
func RMSNormBackward[T Float](dx, dgain, residual, dy, x, gain, rstd []T, rows, cols int) {
	checkLen("RMSNormBackward", rows*cols, dx, dy, x)
	checkLen("RMSNormBackward rstd", rows, rstd)
	checkLen("RMSNormBackward gain", cols, dgain, gain)
	besides := rowsOrZeros(residual, rows, cols)
	defer besides.release()
	l := loopsOf[T]()
	grads := workspace[T](2 * cols) // dgain, and what would be dbias
	defer release(grads)
	sumOverRows(grads, rows, func(partial []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			l.rmsNormBackward(row(dx, r, cols), besides.row(r), partial[:cols], partial[cols:],
				row(dy, r, cols), row(x, r, cols), gain[:cols], rstd[r])
		}
	})
	copy(dgain[:cols], grads)
}

// rmsNorm is RMSNorm of one row: a LayerNorm whose mean and bias are 0.
func (l *loops[T]) rmsNorm(y, x, gain, zeros []T, eps T) (rstd T) {
	rstd = T(1 / math.Sqrt(l.sumSquares(x)/float64(len(x))+float64(eps)))
	l.normalize(y, x, gain, zeros, 0, rstd)
	return rstd
}

// rmsNormBackward is the backward pass of one row: as for LayerNorm, but the
// mean is a constant, so nothing flows through it.
func (l *loops[T]) rmsNormBackward(dx, residual, dgain, unused, dy, x, gain []T, rstd T) {
	_, sumEH := l.normGradSums(dy, x, gain, 0, rstd)
	l.normGrad(dx, residual, dgain, unused, dy, x, gain, 0, rstd, 0, T(sumEH/float64(len(x))))
}
