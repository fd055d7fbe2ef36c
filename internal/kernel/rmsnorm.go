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
	loop := loopsOf[T]().rmsNorm
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			rstd[r] = loop(row(y, r, cols), row(x, r, cols), gain[:cols], eps)
		}
	})
}

// AddRMSNorm sets sum = a + b, the residual connection, and y to the RMSNorm
// of sum. sum may be a or b.
func AddRMSNorm[T Float](sum, y, rstd, a, b, gain []T, rows, cols int, eps T) {
	checkLen("AddRMSNorm", rows*cols, sum, y, a, b)
	checkLen("AddRMSNorm rstd", rows, rstd)
	checkLen("AddRMSNorm gain", cols, gain)
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			l.add(row(sum, r, cols), row(a, r, cols), row(b, r, cols))
			rstd[r] = l.rmsNorm(row(y, r, cols), row(sum, r, cols), gain[:cols], eps)
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
	loop := loopsOf[T]().rmsNormBackward
	sumOverRows(dgain[:cols], rows, func(dgain []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			loop(row(dx, r, cols), residual.row(r), dgain, row(dy, r, cols), row(sum, r, cols), gain[:cols], rstd[r])
		}
	})
}

// rmsNormRow is RMSNorm of one row.
func rmsNormRow[T Float](y, x, gain []T, eps T) (rstd T) {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	rstd = T(1 / math.Sqrt(squares/float64(len(x))+float64(eps)))
	y, gain = y[:len(x)], gain[:len(x)]
	for i, v := range x {
		y[i] = v * rstd * gain[i]
	}
	return rstd
}

// rmsNormBackwardRow is, with h = x rstd and e = dy gain,
//
//	dx = rstd (e - h mean(e h)) + dsum,  dgain += dy h
func rmsNormBackwardRow[T Float](dx, dsum, dgain, dy, x, gain []T, rstd T) {
	var sumEH float64
	dy, gain = dy[:len(x)], gain[:len(x)]
	for i, v := range x {
		sumEH += float64(dy[i]) * float64(gain[i]) * float64(v*rstd)
	}
	meanEH := T(sumEH / float64(len(x)))
	dx, dsum, dgain = dx[:len(x)], dsum[:len(x)], dgain[:len(x)]
	for i, v := range x {
		h := v * rstd
		dgain[i] += dy[i] * h
		dx[i] = rstd*(dy[i]*gain[i]-h*meanEH) + dsum[i]
	}
}
