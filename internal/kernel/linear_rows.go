package kernel

// LinearRows computes y (rows,out) = x (rows,in) W for a few rows, where the
// time goes into reading W: unlike Gemm it does so once, in the order of its
// memory. W is (in,out), or (out,in) if outIn. What a row gets does not depend,
// to the bit, on how many others there are.
func LinearRows[T Float](y, x, w []T, outIn bool, rows, in, out int) {
	checkLen("LinearRows y", rows*out, y)
	checkLen("LinearRows x", rows*in, x)
	checkLen("LinearRows w", in*out, w)
	if outIn {
		dot := attnLoopsOf[T]().dotRows
		ParallelRange(out, rowGrain(in), func(lo, hi int) {
			for r := range rows {
				dot(y[r*out+lo:], w[lo*in:], in, row(x, r, in), 0, hi-lo, in)
			}
		})
		return
	}
	// Each task adds up the rows of a part of W.
	l, part, size := loopsOf[T](), max(1, ceilDiv(in, linearParts)), rows*out
	sums := workspace[T](linearParts * size)
	defer release(sums)
	ParallelRange(in, part, func(lo, hi int) {
		sum := row(sums, lo/part, size)
		clear(sum)
		for k := lo; k < hi; k++ {
			for r := range rows {
				l.axpy(row(sum, r, out), x[r*in+k], w[k*out:])
			}
		}
	})
	clear(y[:size])
	for i := range ceilDiv(in, part) {
		l.add(y[:size], y, row(sums, i, size))
	}
}

// linearParts is the number of tasks for a W (in,out): enough to use up the
// bandwidth of memory, few enough that their sums are small beside W.
const linearParts = 8
