package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/gorget/gorget/internal/kernel"
)

// Implementation is Gonum's BLAS with gorget's Sgemm and Dgemm. The zero value
// is ready, holds nothing, and may be used by many goroutines.
//
// The two differ from Gonum's in three ways: they are faster; they follow the
// reference BLAS in that NaN and Inf in B propagate even where A is zero; and
// they sum in another order, which is the same for every GOMAXPROCS.
type Implementation struct{ gonum.Implementation }

// Sgemm computes C = alpha op(A) op(B) + beta C in float32, as specified by
// gonum.org/v1/gonum/blas.Float32Level3. It panics as Gonum does on misuse.
func (i Implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !valid(tA, tB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc) {
		i.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	kernel.Gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Dgemm is Sgemm in float64; see blas.Float64Level3.
func (i Implementation) Dgemm(tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	if !valid(tA, tB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc) {
		i.Implementation.Dgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	kernel.Gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// valid says whether a call is one that kernel.Gemm takes. Every other call is
// passed to Gonum, which has the standard's message for each mistake.
func valid(tA, tB blas.Transpose, m, n, k, lenA, lda, lenB, ldb, lenC, ldc int) bool {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	return isTranspose(tA) && isTranspose(tB) &&
		holds(lenA, lda, rowsA, colsA) && holds(lenB, ldb, rowsB, colsB) && holds(lenC, ldc, m, n)
}

func isTranspose(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}

// holds says whether length elements with leading dimension ld hold a matrix.
func holds(length, ld, rows, cols int) bool {
	return rows > 0 && cols > 0 && ld >= cols && length >= (rows-1)*ld+cols
}
