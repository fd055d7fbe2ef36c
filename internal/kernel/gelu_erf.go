package kernel

import "math"

// GELUErf sets y = x Phi(x), Phi the standard normal distribution function:
// the exact form of the Gaussian error linear unit (Hendrycks and Gimpel 2016,
// arXiv:1606.08415). y may be x.
func GELUErf[T Float](y, x []T) {
	checkLen("GELUErf", len(y), x)
	loop := loopsOf[T]().geluErf
	ParallelRange(len(y), grain, func(lo, hi int) { loop(y[lo:hi], x[lo:hi]) })
}

// GELUErfBackward sets dx = dy (Phi(x) + x phi(x)), phi the normal density.
// dx may be dy or x.
func GELUErfBackward[T Float](dx, x, dy []T) {
	checkLen("GELUErfBackward", len(dx), x, dy)
	loop := loopsOf[T]().geluErfBackward
	ParallelRange(len(dx), grain, func(lo, hi int) { loop(dx[lo:hi], x[lo:hi], dy[lo:hi]) })
}

// normalCDF is Phi by erfc, which does not cancel for negative x.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x*(math.Sqrt2/2)) }

func normalPDF(x float64) float64 {
	return math.Exp(-0.5*x*x) * (math.Sqrt2 / 2 / math.SqrtPi)
}

func geluErfLoop[T Float](y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = T(float64(v) * normalCDF(float64(v)))
	}
}

func geluErfBackwardLoop[T Float](dx, x, dy []T) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		z := min(max(float64(v), -40), 40) // 0 or 1 beyond
		dx[i] = dy[i] * T(normalCDF(z)+z*normalPDF(z))
	}
}
