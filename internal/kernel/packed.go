package kernel

// The gated activations of rows that hold gate and value side by side: row r
// of h (rows, 2 cols) is the gate, then the value. A pair of projections that
// is computed as one leaves them so.

// SwiGLUPacked sets y (rows, cols) to SwiGLU of h (rows, 2 cols).
func SwiGLUPacked[T Float](y, h []T, rows, cols int) {
	gatedPacked(loopsOf[T]().swiglu, y, h, rows, cols)
}

// SwiGLUPackedBackward sets dh to the gradient of SwiGLUPacked. dh may be h.
func SwiGLUPackedBackward[T Float](dh, h, dy []T, rows, cols int) {
	gatedPackedBackward(loopsOf[T]().swigluBackward, dh, h, dy, rows, cols)
}

// GeGLUPacked sets y (rows, cols) to GeGLU of h (rows, 2 cols).
func GeGLUPacked[T Float](y, h []T, rows, cols int) {
	gatedPacked(loopsOf[T]().geglu, y, h, rows, cols)
}

// GeGLUPackedBackward sets dh to the gradient of GeGLUPacked. dh may be h.
func GeGLUPackedBackward[T Float](dh, h, dy []T, rows, cols int) {
	gatedPackedBackward(loopsOf[T]().gegluBackward, dh, h, dy, rows, cols)
}

func gatedPacked[T Float](loop func(y, gate, up []T), y, h []T, rows, cols int) {
	checkLen("gated activation", rows*cols, y)
	checkLen("gated activation of packed rows", 2*rows*cols, h)
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			h := row(h, r, 2*cols)
			loop(row(y, r, cols), h[:cols], h[cols:])
		}
	})
}

func gatedPackedBackward[T Float](loop func(dgate, dup, gate, up, dy []T), dh, h, dy []T, rows, cols int) {
	checkLen("gated activation", rows*cols, dy)
	checkLen("gated activation of packed rows", 2*rows*cols, dh, h)
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			dh, h := row(dh, r, 2*cols), row(h, r, 2*cols)
			loop(dh[:cols], dh[cols:], h[:cols], h[cols:], row(dy, r, cols))
		}
	})
}
