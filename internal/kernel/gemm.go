package kernel

// Gemm computes the row-major matrix product
//
//	C = alpha op(A) op(B) + beta C
//
// where op(A) is (m,k), op(B) is (k,n), C is (m,n), and op is the transpose
// where transA or transB says so: A is then stored (k,m), B (n,k). Each matrix
// is a slice with a leading dimension, the distance between two rows, so that
// a matrix may be a block of a larger one; what lies between its rows is never
// touched. C must not overlap A or B.
//
// As in BLAS, C is not read when beta = 0, and A and B are not read when
// alpha = 0. Otherwise NaN and Inf propagate, also from a factor of zero.
//
// The sum over k is cut at places that depend on k alone, so the result is
// bit-equal for any GOMAXPROCS. Against exact arithmetic each element differs
// by at most (k+2) eps |alpha| |op(A)| |op(B)| + 2 eps |beta| |C| taken element
// by element, eps = 2^-24 for float32 and 2^-53 for float64 (Higham, Accuracy
// and Stability of Numerical Algorithms, 2nd ed. 2002, section 3.5).
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(true, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// gemmSerial is Gemm on the calling goroutine alone: for tiles inside kernels
// that are parallel themselves.
func gemmSerial[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(false, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

func gemm[T Float](parallel, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if m < 0 || n < 0 || k < 0 {
		panic("kernel: Gemm: negative dimension")
	}
	if m == 0 || n == 0 {
		return
	}
	checkMatrix("C", m, n, len(c), ldc)
	if k == 0 || alpha == 0 {
		scaleMatrix(parallel, m, n, beta, c, ldc)
		return
	}
	if transA {
		checkMatrix("A", k, m, len(a), lda)
	} else {
		checkMatrix("A", m, k, len(a), lda)
	}
	if transB {
		checkMatrix("B", n, k, len(b), ldb)
	} else {
		checkMatrix("B", k, n, len(b), ldb)
	}

	accumulate := beta != 0
	if accumulate && beta != 1 {
		scaleMatrix(parallel, m, n, beta, c, ldc)
	}
	p := product[T]{
		tiling: tilingOf[T](),
		m:      m, n: n, k: k,
		alpha:      alpha,
		a:          operand[T]{data: a, ld: lda, kMajor: transA},
		b:          operand[T]{data: b, ld: ldb, kMajor: !transB},
		c:          c,
		ldc:        ldc,
		accumulate: accumulate,
	}
	p.run(parallel && m*n*k > serialWork)
}

// serialWork is the number of multiplications below which waking the workers
// costs more than it saves.
const serialWork = 1 << 16

func checkMatrix(name string, rows, cols, length, ld int) {
	if ld < cols {
		panic("kernel: Gemm: leading dimension of " + name + " is shorter than its rows")
	}
	if cols > 0 && length < (rows-1)*ld+cols {
		panic("kernel: Gemm: slice of " + name + " is too short")
	}
}

// scaleMatrix computes C *= beta; beta = 0 overwrites whatever C holds.
func scaleMatrix[T Float](parallel bool, m, n int, beta T, c []T, ldc int) {
	if beta == 1 {
		return
	}
	scaleRows := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := c[i*ldc : i*ldc+n]
			if beta == 0 {
				clear(row)
				continue
			}
			for j := range row {
				row[j] *= beta
			}
		}
	}
	if !parallel {
		scaleRows(0, m)
		return
	}
	ParallelRange(m, 1+serialWork/n, scaleRows)
}
