package kernel

import "math"

// RMSNorm divides each row of x (rows, cols) by its root mean square (Zhang
// and Sennrich 2019, arXiv:1910.07467):
//
//	y = x rstd gain,  rstd = 1/sqrt(mean(x^2) + eps)
//
// rstd (rows) is kept for the backward pass.
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

// AddRMSNorm sets sum = a + b, the residual connection, and y to the RMSNorm
// of sum. sum may be a or b.
func AddRMSNorm[T Float](sum, y, rstd, a, b, gain []T, rows, cols int, eps T) {
	checkLen("AddRMSNorm", rows*cols, sum, y, a, b)
	checkLen("AddRMSNorm rstd", rows, rstd)
	checkLen("AddRMSNorm gain", cols, gain)
	zeros := rowsOrZeros[T](nil, 1, cols)
	defer zeros.release()
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			l.add(row(sum, r, cols), row(a, r, cols), row(b, r, cols))
			rstd[r] = l.rmsNorm(row(y, r, cols), row(sum, r, cols), gain[:cols], zeros.row(0), eps)
		}
	})
}

// RMSNormBackward sets dx and dgain to the gradients of RMSNorm. dx may be dy.
func RMSNormBackward[T Float](dx, dgain, dy, x, gain, rstd []T, rows, cols int) {
	AddRMSNormBackward(dx, dgain, nil, dy, x, gain, rstd, rows, cols)
}

// AddRMSNormBackward is the backward pass of AddRMSNorm: dx, the gradient of
// both a and b, is that of the RMSNorm plus dsum, the gradient that reaches
// sum from elsewhere. dsum may be nil. dx may be dy or dsum.
func AddRMSNormBackward[T Float](dx, dgain, dsum, dy, sum, gain, rstd []T, rows, cols int) {
	checkLen("RMSNormBackward", rows*cols, dx, dy, sum)
	checkLen("RMSNormBackward rstd", rows, rstd)
	checkLen("RMSNormBackward gain", cols, dgain, gain)
	residual := rowsOrZeros(dsum, rows, cols)
	defer residual.release()
	l := loopsOf[T]()
	grads := workspace[T](2 * cols) // dgain, and what would be dbias
	defer release(grads)
	sumOverRows(grads, rows, func(partial []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			l.rmsNormBackward(row(dx, r, cols), residual.row(r), partial[:cols], partial[cols:],
				row(dy, r, cols), row(sum, r, cols), gain[:cols], rstd[r])
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
func (l *loops[T]) rmsNormBackward(dx, dsum, dgain, unused, dy, x, gain []T, rstd T) {
	_, sumEH := l.normGradSums(dy, x, gain, 0, rstd)
	l.normGrad(dx, dsum, dgain, unused, dy, x, gain, 0, rstd, 0, T(sumEH/float64(len(x))))
}
