package kernel

import "unsafe"

// Add sets dst = a + b. dst may be a or b.
func Add[T Float](dst, a, b []T) {
	checkLen("Add", len(dst), a, b)
	loop := loopsOf[T]().add
	ParallelRange(len(dst), grain, func(lo, hi int) { loop(dst[lo:hi], a[lo:hi], b[lo:hi]) })
}

// AddTo adds x to dst.
func AddTo[T Float](dst, x []T) { Add(dst, dst, x) }

// Scale sets dst = alpha x. dst may be x.
func Scale[T Float](dst []T, alpha T, x []T) {
	checkLen("Scale", len(dst), x)
	loop := loopsOf[T]().scale
	ParallelRange(len(dst), grain, func(lo, hi int) { loop(dst[lo:hi], alpha, x[lo:hi]) })
}

// Axpy adds alpha x to dst.
func Axpy[T Float](dst []T, alpha T, x []T) {
	checkLen("Axpy", len(dst), x)
	loop := loopsOf[T]().axpy
	ParallelRange(len(dst), grain, func(lo, hi int) { loop(dst[lo:hi], alpha, x[lo:hi]) })
}

// Fill sets every element of dst to value.
func Fill[T Float](dst []T, value T) {
	ParallelRange(len(dst), grain, func(lo, hi int) {
		part := dst[lo:hi]
		for i := range part {
			part[i] = value
		}
	})
}

// StreamCopy copies x to dst past the caches, where the processor can: the
// fastest copy of what is far larger than them, and so the yardstick of what
// memory allows.
func StreamCopy[T Float](dst, x []T) {
	const line = 64
	checkLen("StreamCopy", len(dst), x)
	head := 0
	for ; head < len(dst) && uintptr(unsafe.Pointer(&dst[head]))%line != 0; head++ {
		dst[head] = x[head]
	}
	loop := loopsOf[T]().streamCopy
	dst, x = dst[head:], x[head:]
	ParallelRange(len(dst), grain, func(lo, hi int) { loop(dst[lo:hi], x[lo:hi]) })
}

func copyLoop[T Float](dst, x []T) { copy(dst, x[:len(dst)]) }

func addLoop[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func scaleLoop[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}

func axpyLoop[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += alpha * x[i]
	}
}
