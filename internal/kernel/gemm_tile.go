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

var (
	portable32 = portableTiling[float32]()
	portable64 = portableTiling[float64]()
)

func portableTiling[T Float]() tiling[T] {
	return tiling[T]{rows: 4, cols: 4, stride: 4, kc: 256, mc: 128, nc: 512, tile: tilePortable[T],
		copyPanel: copyPanelPortable[T], transposePanel: transposePanelPortable[T], lanes: 4}
}

func copyPanelPortable[T Float](dst []T, stride int, src []T, ld, width, k int) {
	for i := range k {
		copy(dst[i*stride:i*stride+width], src[i*ld:])
	}
}

func transposePanelPortable[T Float](dst []T, stride int, src []T, ld, width, k int) {
	for x := range width {
		for i, v := range src[x*ld : x*ld+k] {
			dst[i*stride+x] = v
		}
	}
}

// tilePortable keeps a (4,4) tile in registers. Panels are packed with stride
// 4, so it computes all of the tile and stores the part that is asked for.
func tilePortable[T Float](m, n, k int, alpha T, a []T, lda int, b []T, ldb int, c []T, ldc int, accumulate bool) {
	a, b = a[:4*k], b[:4*k]
	var s [4][4]T
	for len(a) >= 4 && len(b) >= 4 {
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		for j, v := range b[:4] {
			s[0][j] += a0 * v
			s[1][j] += a1 * v
			s[2][j] += a2 * v
			s[3][j] += a3 * v
		}
		a, b = a[4:], b[4:]
	}
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		for j := range row {
			if accumulate {
				row[j] += alpha * s[i][j]
			} else {
				row[j] = alpha * s[i][j]
			}
		}
	}
}
