package kernel

import "math"

// Softmax sets each row of y (rows, cols) to e^x / sum(e^x). y may be x.
// A row of only -Inf gives NaN, as it has no distribution. For float32 the
// error of y is at most (16 + max(x) - x) y 2^-24.
func Softmax[T Float](y, x []T, rows, cols int) {
	checkLen("Softmax", rows*cols, y, x)
	l := loopsOf[T]()
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			in := row(x, r, cols)
			shift := l.max(in)
			l.expScale(row(y, r, cols), in, shift, T(1/l.sumExpBlocks(in, shift)))
		}
	})
}

// sumExpBlocks is sumExp of x in blocks, whose sums are added in float64: at
// the width of a vocabulary a float32 sum would lose digits.
func (l *loops[T]) sumExpBlocks(x []T, shift T) float64 {
	const block = 2048
	var sum float64
	for ; len(x) > block; x = x[block:] {
		sum += l.sumExp(x[:block], shift)
	}
	return sum + l.sumExp(x, shift)
}

// logSumExp is log(sum(e^x)).
func (l *loops[T]) logSumExp(x []T) float64 {
	shift := l.max(x)
	return float64(shift) + math.Log(l.sumExpBlocks(x, shift))
}

// maxLoop is the largest element, -Inf if there is none. A NaN may be passed
// over: the sum of exponentials that follows finds it.
func maxLoop[T Float](x []T) T {
	m := T(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// sumExpLoop is the sum of e^(x - shift).
func sumExpLoop[T Float](x []T, shift T) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(exp(v - shift))
	}
	return sum
}

// expScaleLoop is dst = scale e^(x - shift).
func expScaleLoop[T Float](dst, x []T, shift, scale T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = scale * exp(v-shift)
	}
}
