package kernel

import "math"

// LayerNorm normalizes each row of x (rows, cols) to mean 0 and variance 1
// and applies the affine map (Ba, Kiros and Hinton 2016, arXiv:1607.06450):
//
//	y = (x - mean) rstd gain + bias,  rstd = 1/sqrt(var + eps)
//
// mean and rstd (rows) are kept for the backward pass. bias may be nil.
func LayerNorm[T Float](y, mean, rstd, x, gain, bias []T, rows, cols int, eps T) {
	checkLen("LayerNorm", rows*cols, y, x)
	checkLen("LayerNorm statistics", rows, mean, rstd)
	checkLen("LayerNorm gain", cols, gain)
	shift := rowsOrZeros(bias, 1, cols)
	defer shift.release()
	loop := loopsOf[T]().layerNorm
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			mean[r], rstd[r] = loop(row(y, r, cols), row(x, r, cols), gain[:cols], shift.row(0), eps)
		}
	})
}

// AddLayerNorm sets sum = a + b, the residual connection, and y to the
// LayerNorm of sum. sum may be a or b.
func AddLayerNorm[T Float](sum, y, mean, rstd, a, b, gain, bias []T, rows, cols int, eps T) {
	checkLen("AddLayerNorm", rows*cols, sum, y, a, b)
	checkLen("AddLayerNorm statistics", rows, mean, rstd)
	checkLen("AddLayerNorm gain", cols, gain)
	shift := rowsOrZeros(bias, 1, cols)
	defer shift.release()
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			l.add(row(sum, r, cols), row(a, r, cols), row(b, r, cols))
			mean[r], rstd[r] = l.layerNorm(row(y, r, cols), row(sum, r, cols), gain[:cols], shift.row(0), eps)
		}
	})
}

// LayerNormBackward sets dx, dgain and dbias to the gradients of LayerNorm.
// dbias may be nil. dx may be dy.
func LayerNormBackward[T Float](dx, dgain, dbias, dy, x, gain, mean, rstd []T, rows, cols int) {
	AddLayerNormBackward(dx, dgain, dbias, nil, dy, x, gain, mean, rstd, rows, cols)
}

// AddLayerNormBackward is the backward pass of AddLayerNorm: dx, the gradient
// of both a and b, is that of the LayerNorm plus dsum, the gradient that
// reaches sum from elsewhere. dsum may be nil. dx may be dy or dsum.
func AddLayerNormBackward[T Float](dx, dgain, dbias, dsum, dy, sum, gain, mean, rstd []T, rows, cols int) {
	checkLen("LayerNormBackward", rows*cols, dx, dy, sum)
	checkLen("LayerNormBackward statistics", rows, mean, rstd)
	checkLen("LayerNormBackward gain", cols, dgain, gain)
	residual := rowsOrZeros(dsum, rows, cols)
	defer residual.release()
	loop := loopsOf[T]().layerNormBackward
	grads := workspace[T](2 * cols) // dgain, then dbias
	defer release(grads)
	sumOverRows(grads, rows, func(partial []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			loop(row(dx, r, cols), residual.row(r), partial[:cols], partial[cols:],
				row(dy, r, cols), row(sum, r, cols), gain[:cols], mean[r], rstd[r])
		}
	})
	copy(dgain[:cols], grads)
	if dbias != nil {
		copy(dbias[:cols], grads[cols:])
	}
}

// layerNormRow is LayerNorm of one row. The variance is that of the centred
// values: the difference of mean squares would cancel.
func layerNormRow[T Float](y, x, gain, bias []T, eps T) (mean, rstd T) {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
	}
	n := float64(len(x))
	mu := sum / n
	for _, v := range x {
		d := float64(v) - mu
		squares += d * d
	}
	mean, rstd = T(mu), T(1/math.Sqrt(squares/n+float64(eps)))
	y, gain, bias = y[:len(x)], gain[:len(x)], bias[:len(x)]
	for i, v := range x {
		y[i] = (v-mean)*rstd*gain[i] + bias[i]
	}
	return mean, rstd
}

// layerNormBackwardRow is, with h = (x - mean) rstd and e = dy gain,
//
//	dx = rstd (e - mean(e) - h mean(e h)) + dsum,  dgain += dy h,  dbias += dy
func layerNormBackwardRow[T Float](dx, dsum, dgain, dbias, dy, x, gain []T, mean, rstd T) {
	var sumE, sumEH float64
	dy, gain = dy[:len(x)], gain[:len(x)]
	for i, v := range x {
		e := float64(dy[i]) * float64(gain[i])
		sumE += e
		sumEH += e * float64((v-mean)*rstd)
	}
	n := float64(len(x))
	meanE, meanEH := T(sumE/n), T(sumEH/n)
	dx, dsum = dx[:len(x)], dsum[:len(x)]
	dgain, dbias = dgain[:len(x)], dbias[:len(x)]
	for i, v := range x {
		d := dy[i]
		h := (v - mean) * rstd
		dgain[i] += d * h
		dbias[i] += d
		dx[i] = rstd*(d*gain[i]-meanE-h*meanEH) + dsum[i]
	}
}
