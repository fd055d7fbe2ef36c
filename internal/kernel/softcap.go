package kernel

import "math"

// SoftCap bounds logits smoothly to (-cap, cap) (Gemma 2, arXiv:2408.00118):
//
//	y = cap tanh(x/cap)
//
// y may be x.
func SoftCap[T Float](y, x []T, cap T) {
	checkLen("SoftCap", len(y), x)
	ParallelRange(len(y), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = cap * T(math.Tanh(float64(x[i]/cap)))
		}
	})
}

// SoftCapBackward sets dx = dy (1 - (y/cap)^2) from the result y of SoftCap.
// dx may be dy.
func SoftCapBackward[T Float](dx, y, dy []T, cap T) {
	checkLen("SoftCapBackward", len(dx), y, dy)
	ParallelRange(len(dx), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			t := y[i] / cap
			dx[i] = dy[i] * (1 - t*t)
		}
	})
}
