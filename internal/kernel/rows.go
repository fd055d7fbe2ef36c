package kernel

// row is the r-th row of a matrix with cols columns.
func row[T any](x []T, r, cols int) []T { return x[r*cols : (r+1)*cols] }

// AddBias adds bias (cols) to each row of y (rows, cols).
func AddBias[T Float](y, bias []T, rows, cols int) {
	checkLen("AddBias", rows*cols, y)
	checkLen("AddBias bias", cols, bias)
	add := loopsOf[T]().add
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			add(row(y, r, cols), row(y, r, cols), bias[:cols])
		}
	})
}

// SumRows sets dbias[c] to the sum over r of dy[r,c]: the backward pass of
// AddBias.
func SumRows[T Float](dbias, dy []T, rows, cols int) {
	checkLen("SumRows", rows*cols, dy)
	checkLen("SumRows dbias", cols, dbias)
	add := loopsOf[T]().add
	sumOverRows(dbias[:cols], rows, func(dbias []T, lo, hi int) {
		for r := lo; r < hi; r++ {
			add(dbias, dbias, row(dy, r, cols))
		}
	})
}

// sumBlocks is the largest number of blocks that a sum over rows is cut into.
const sumBlocks = 64

// sumOverRows cuts rows into blocks, lets f add the contribution of rows
// [lo,hi) to a zeroed partial sum of its own, and sets dst to the sum of the
// partial sums, added in pairs, then pairs of pairs, and so on. Besides making
// the sum parallel, the blocks keep its rounding error small.
func sumOverRows[T Float](dst []T, rows int, f func(partial []T, lo, hi int)) {
	block := max(8, (rows+sumBlocks-1)/sumBlocks)
	blocks := (rows + block - 1) / block
	width := len(dst)
	partials := workspace[T](blocks * width)
	defer release(partials)
	ParallelRange(rows, block, func(lo, hi int) {
		partial := row(partials, lo/block, width)
		clear(partial)
		f(partial, lo, hi)
	})
	add := loopsOf[T]().add
	for step := 1; step < blocks; step *= 2 {
		for b := 0; b+step < blocks; b += 2 * step {
			add(row(partials, b, width), row(partials, b, width), row(partials, b+step, width))
		}
	}
	clear(dst)
	copy(dst, partials)
}
