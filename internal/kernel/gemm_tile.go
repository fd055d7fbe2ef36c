package kernel

// tiling is one implementation of the inner product of panels, with the block
// sizes that suit it.
type tiling[T Float] struct {
	rows, cols int // of the tile of C that stays in registers
	stride     int // of a packed panel of A, >= rows

	// The block sizes of Goto and van de Geijn (Anatomy of High-Performance
	// Matrix Multiplication, 2008): a (mc,kc) block of A stays in the second
	// level cache while a (kc,nc) block of B passes over it.
	kc, mc, nc int

	// tile computes, for rows i < m <= rows and columns j < n <= cols,
	//
	//	C[i*ldc+j] = alpha sum_k A[k*lda+i] B[k*ldb+j]  (+ C[i*ldc+j] if accumulate)
	//
	// in ascending order of k, for any m and n by the same operations.
	tile func(m, n, k int, alpha T, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool)

	// tileRows is tile for A[i*lda+k].
	tileRows func(m, n, k int, alpha T, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool)

	// unpacked says that both kernels read nothing outside A(m,k) and B(k,n),
	// so that they may be used on the operands themselves.
	unpacked bool

	// copyPanel computes dst[k*stride+x] = src[k*ld+x] for x < width, and
	// transposePanel dst[k*stride+x] = src[x*ld+k] for x < width <= lanes.
	// Both fill whole vectors of lanes elements.
	copyPanel, transposePanel func(dst []T, stride int, src []T, ld, width, k int)
	lanes                     int
}

// tilingOf returns the best tiling that the processor allows.
func tilingOf[T Float]() *tiling[T] {
	var t any
	switch any(T(0)).(type) {
	case float32:
		t = tiling32()
	case float64:
		t = tiling64()
	}
	return t.(*tiling[T])
}
