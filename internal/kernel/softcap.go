package kernel

import "math"

// SoftCap bounds logits smoothly to (-cap, cap) (Gemma 2, arXiv:2408.00118):
//
//	y = cap tanh(x/cap)
//
// For float32 the error is at most 3e-7 cap. y may be x.
func SoftCap[T Float](y, x []T, cap T) {
	checkLen("SoftCap", len(y), x)
	loop := loopsOf[T]().softCap
	ParallelRange(len(y), grain, func(lo, hi int) { loop(y[lo:hi], x[lo:hi], cap) })
}

// SoftCapBackward sets dx = dy (1 - (y/cap)^2) from the result y of SoftCap.
// dx may be dy.
func SoftCapBackward[T Float](dx, y, dy []T, cap T) {
	checkLen("SoftCapBackward", len(dx), y, dy)
	loop := loopsOf[T]().softCapBackward
	ParallelRange(len(dx), grain, func(lo, hi int) { loop(dx[lo:hi], y[lo:hi], dy[lo:hi], cap) })
}

func softCapLoop[T Float](y, x []T, cap T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = cap * T(math.Tanh(float64(v/cap)))
	}
}

func softCapBackwardLoop[T Float](dx, y, dy []T, cap T) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i, v := range y {
		t := v / cap
		dx[i] = dy[i] * (1 - t*t)
	}
}
