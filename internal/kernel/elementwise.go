package kernel

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
