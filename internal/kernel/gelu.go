package kernel

// GELUTanh sets y to the tanh form of the Gaussian error linear unit
// (Hendrycks and Gimpel 2016, arXiv:1606.08415), the activation of GPT-2:
//
//	y = x/2 (1 + tanh u) = x sigmoid(2u),  u = sqrt(2/pi) (x + 0.044715 x^3)
//
// For float32 the error of this and the other activations, and of their
// derivatives, is at most 1e-6 max(1, |exact value|). y may be x.
func GELUTanh[T Float](y, x []T) {
	checkLen("GELUTanh", len(y), x)
	loop := loopsOf[T]().geluTanh
	ParallelRange(len(y), grain, func(lo, hi int) { loop(y[lo:hi], x[lo:hi]) })
}

// GELUTanhBackward sets dx = dy dGELUTanh/dx. dx may be dy or x.
func GELUTanhBackward[T Float](dx, x, dy []T) {
	checkLen("GELUTanhBackward", len(dx), x, dy)
	loop := loopsOf[T]().geluTanhBackward
	ParallelRange(len(dx), grain, func(lo, hi int) { loop(dx[lo:hi], x[lo:hi], dy[lo:hi]) })
}

const (
	sqrt8OverPi = 1.5957691216057307117597842397375 // 2 sqrt(2/pi)
	geluCubic   = 0.044715
	// Beyond geluFlat the derivative is 0 or 1 to 1e-36; x is clamped there so
	// that nothing in it overflows.
	geluFlat = 10
)

// geluTanh is x sigmoid(2u), which unlike 1 + tanh u does not cancel for
// negative x.
func geluTanh[T Float](x T) T { return x * sigmoid(x*(sqrt8OverPi+sqrt8OverPi*geluCubic*x*x)) }

// geluTanhGrad is s + x s (1-s) d(2u)/dx with s = sigmoid(2u).
func geluTanhGrad[T Float](x T) T {
	x = min(max(x, -geluFlat), geluFlat)
	x2 := x * x
	s, c := sigmoidPair(x * (sqrt8OverPi + sqrt8OverPi*geluCubic*x2))
	return s + x*s*c*(sqrt8OverPi+3*sqrt8OverPi*geluCubic*x2)
}

func geluTanhLoop[T Float](y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = geluTanh(v)
	}
}

func geluTanhBackwardLoop[T Float](dx, x, dy []T) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * geluTanhGrad(v)
	}
}
