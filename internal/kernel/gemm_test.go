package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gemmFunc is the common signature of Gemm and gemmSerial.
type gemmFunc[T Float] func(transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)

// guard stands in every place of a slice that no kernel may read or write: a
// read makes the result NaN, a write changes the bits.
const guardBits = 0x7fc0dead

func guard[T Float]() T {
	if any(T(0)) == any(float32(0)) {
		return T(math.Float32frombits(guardBits))
	}
	return T(math.NaN())
}

// guarded returns a (rows,cols) matrix with leading dimension ld, of random
// numbers in [-1,1), within guards before, between and after its rows. The
// slice begins at an odd offset, so that it is not aligned to any vector.
func guarded[T Float](r *rand.Rand, rows, cols, ld int) (matrix, all []T) {
	const before, after = 3, 67
	size := 0
	if rows > 0 && cols > 0 {
		size = (rows-1)*ld + cols
	}
	all = make([]T, before+size+after)
	for i := range all {
		all[i] = guard[T]()
	}
	matrix = all[before : before+size]
	for i := 0; i < rows && cols > 0; i++ {
		for j := 0; j < cols; j++ {
			matrix[i*ld+j] = T(2*r.Float64() - 1)
		}
	}
	return matrix, all
}

// gemmCase is one product against its float64 reference.
type gemmCase struct {
	transA, transB bool
	m, n, k, pad   int
	alpha, beta    float64
}

func (tc gemmCase) String() string {
	return fmt.Sprintf("transA=%t transB=%t m=%d n=%d k=%d pad=%d alpha=%g beta=%g",
		tc.transA, tc.transB, tc.m, tc.n, tc.k, tc.pad, tc.alpha, tc.beta)
}

func checkGemm[T Float](t *testing.T, gemm gemmFunc[T], r *rand.Rand, tc gemmCase) {
	t.Helper()
	rowsA, colsA, rowsB, colsB := tc.m, tc.k, tc.k, tc.n
	if tc.transA {
		rowsA, colsA = colsA, rowsA
	}
	if tc.transB {
		rowsB, colsB = colsB, rowsB
	}
	lda, ldb, ldc := colsA+tc.pad, colsB+2*tc.pad, tc.n+3*tc.pad
	a, _ := guarded[T](r, rowsA, colsA, lda)
	b, _ := guarded[T](r, rowsB, colsB, ldb)
	c, allC := guarded[T](r, tc.m, tc.n, ldc)
	before := append([]T(nil), c...)
	want := append([]T(nil), allC...)
	if tc.beta == 0 {
		for i := 0; i < tc.m; i++ {
			for j := 0; j < tc.n; j++ {
				c[i*ldc+j] = guard[T]() // must not be read
			}
		}
	}

	gemm(tc.transA, tc.transB, tc.m, tc.n, tc.k, T(tc.alpha), a, lda, b, ldb, T(tc.beta), c, ldc)

	eps := math.Ldexp(1, -53)
	if any(T(0)) == any(float32(0)) {
		eps = math.Ldexp(1, -24)
	}
	for i := 0; i < tc.m; i++ {
		for j := 0; j < tc.n; j++ {
			var sum, size float64
			for k := 0; k < tc.k; k++ {
				x, y := i*lda+k, k*ldb+j
				if tc.transA {
					x = k*lda + i
				}
				if tc.transB {
					y = j*ldb + k
				}
				sum += float64(a[x]) * float64(b[y])
				size += math.Abs(float64(a[x]) * float64(b[y]))
			}
			old := tc.beta * float64(before[i*ldc+j])
			exact := tc.alpha*sum + old
			bound := eps * (float64(tc.k+2)*math.Abs(tc.alpha)*size + 2*math.Abs(old))
			if eps < 1e-12 { // the reference's own rounding
				bound *= 2
			}
			got := float64(c[i*ldc+j])
			if !(math.Abs(got-exact) <= bound) {
				require.Failf(t, "wrong element", "%v: C[%d,%d] = %v, want %v +- %v", tc, i, j, got, exact, bound)
			}
			c[i*ldc+j] = before[i*ldc+j] // leaves the guards to compare
		}
	}
	for i := range allC {
		if math.Float64bits(float64(allC[i])) != math.Float64bits(float64(want[i])) {
			require.Failf(t, "write out of range", "%v: element %d", tc, i-3)
		}
	}
}

func TestGemmSmall(t *testing.T) {
	sizes := []int{0, 1, 2, 3, 5, 13}
	eachImpl(t, func(t *testing.T) {
		t.Run("float32", func(t *testing.T) { sweepGemm[float32](t, sizes, sizes, sizes) })
		t.Run("float64", func(t *testing.T) { sweepGemm[float64](t, sizes, sizes, sizes) })
	})
}

// TestGemmTileEdges goes one below and one above the tiles of every
// implementation: 14x32, 14x16, 6x16, 6x8, 4x4.
func TestGemmTileEdges(t *testing.T) {
	ms, ns, ks := []int{6, 8, 14, 15, 29}, []int{8, 9, 15, 16, 31, 32, 33, 67}, []int{1, 8, 31}
	eachImpl(t, func(t *testing.T) {
		t.Run("float32", func(t *testing.T) { sweepGemm[float32](t, ms, ns, ks) })
		t.Run("float64", func(t *testing.T) { sweepGemm[float64](t, ms, ns, ks) })
	})
}

// sweepGemm checks all sizes in all transpose cases, for every alpha and beta
// at least once for each size.
func sweepGemm[T Float](t *testing.T, ms, ns, ks []int) {
	r := rand.New(rand.NewPCG(1, 2))
	scalars := []float64{1, 0, -0.5}
	count := 0
	for _, m := range ms {
		for _, n := range ns {
			for _, k := range ks {
				for trans := range 4 {
					tc := gemmCase{
						transA: trans&1 != 0, transB: trans&2 != 0,
						m: m, n: n, k: k, pad: count % 4,
						alpha: scalars[count%3], beta: scalars[count/3%3],
					}
					checkGemm(t, Gemm[T], r, tc)
					checkGemm(t, gemmSerial[T], r, tc)
					count++
				}
			}
		}
	}
}

func TestGemmPanicsOnMisuse(t *testing.T) {
	x := make([]float32, 6)
	call := func(m, n, k, lda, ldb, ldc, lenA, lenB, lenC int) func() {
		return func() { Gemm(false, false, m, n, k, 1, x[:lenA], lda, x[:lenB], ldb, 0, x[:lenC], ldc) }
	}
	assert.NotPanics(t, call(2, 2, 3, 3, 2, 2, 6, 6, 4))
	assert.Panics(t, call(-1, 2, 3, 3, 2, 2, 6, 6, 4))
	assert.Panics(t, call(2, 2, 3, 2, 2, 2, 6, 6, 4))
	assert.Panics(t, call(2, 2, 3, 3, 1, 2, 6, 6, 4))
	assert.Panics(t, call(2, 2, 3, 3, 2, 1, 6, 6, 4))
	assert.Panics(t, call(2, 2, 3, 3, 2, 2, 5, 6, 4))
	assert.Panics(t, call(2, 2, 3, 3, 2, 2, 6, 5, 4))
	assert.Panics(t, call(2, 2, 3, 3, 2, 2, 6, 6, 3))
}
