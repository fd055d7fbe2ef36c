package kernel

// The loops of the norms over one row, with h = (x - mean) rstd and
// e = dy gain.

// sumSquaresAboutLoop is sum((x - mean)^2).
func sumSquaresAboutLoop[T Float](x []T, mean T) float64 {
	var sum float64
	for _, v := range x {
		d := float64(v - mean)
		sum += d * d
	}
	return sum
}

// normalizeLoop is y = h gain + bias.
func normalizeLoop[T Float](y, x, gain, bias []T, mean, rstd T) {
	x, gain, bias = x[:len(y)], gain[:len(y)], bias[:len(y)]
	for i, v := range x {
		y[i] = (v-mean)*rstd*gain[i] + bias[i]
	}
}

// normGradSumsLoop is sum(e) and sum(e h).
func normGradSumsLoop[T Float](dy, x, gain []T, mean, rstd T) (sumE, sumEH float64) {
	x, gain = x[:len(dy)], gain[:len(dy)]
	for i, d := range dy {
		e := float64(d) * float64(gain[i])
		sumE += e
		sumEH += e * float64((x[i]-mean)*rstd)
	}
	return sumE, sumEH
}

// normGradLoop is
//
//	dx = rstd (e - meanE - h meanEH) + residual,  dgain += dy h,  dbias += dy
func normGradLoop[T Float](dx, residual, dgain, dbias, dy, x, gain []T, mean, rstd, meanE, meanEH T) {
	residual, dgain, dbias = residual[:len(dx)], dgain[:len(dx)], dbias[:len(dx)]
	dy, x, gain = dy[:len(dx)], x[:len(dx)], gain[:len(dx)]
	for i, d := range dy {
		h := (x[i] - mean) * rstd
		dgain[i] += d * h
		dbias[i] += d
		dx[i] = rstd*(d*gain[i]-meanE-h*meanEH) + residual[i]
	}
}
