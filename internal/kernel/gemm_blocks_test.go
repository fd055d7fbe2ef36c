package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGemmBlocks uses shapes of more than one block of K, of more than one
// task, and on both sides of every choice between packed and unpacked.
func TestGemmBlocks(t *testing.T) {
	if testing.Short() {
		t.Skip("a float64 reference of a billion products: runs without -short")
	}
	shapes := [][3]int{ // m, n, k
		{61, 67, 1031}, // three blocks of K, odd everywhere
		{64, 64, 64},
		{401, 131, 521}, // B is packed
		{16, 600, 1024}, // rows of A 4 KiB apart
		{1037, 137, 512},
		{3, 5, 4099},
	}
	eachImpl(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for i, s := range shapes {
			for trans := range 4 {
				tc := gemmCase{
					transA: trans&1 != 0, transB: trans&2 != 0, m: s[0], n: s[1], k: s[2],
					pad: 0, alpha: []float64{1, -0.5}[i%2], beta: []float64{0, 1, 0.25}[(i+trans)%3],
				}
				checkGemm(t, Gemm[float32], r, tc)
				if s[0]*s[1]*s[2] < 1<<23 {
					checkGemm(t, gemmSerial[float32], r, tc)
					checkGemm(t, Gemm[float64], r, tc)
				}
			}
		}
	})
}

// TestGemmSuperBlocks goes beyond the part of A that is packed at a time.
func TestGemmSuperBlocks(t *testing.T) {
	if testing.Short() {
		t.Skip("matrices of several million elements: runs without -short")
	}
	eachImpl(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, transA := range []bool{false, true} {
			checkGemm(t, Gemm[float32], r, gemmCase{transA: transA, m: 4100, n: 3, k: 1100, alpha: 1})          // by rows
			checkGemm(t, Gemm[float32], r, gemmCase{transA: transA, m: 2, n: 2, k: 2200000, alpha: 1, beta: 1}) // by K
		}
	})
}

// The result does not depend on who computes it.
func TestGemmIsBitEqualForEveryGOMAXPROCS(t *testing.T) {
	shapes := [][3]int{{150, 200, 300}, {7, 500, 90}, {300, 5, 700}, {50, 50, 1600}}
	eachImpl(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for trans := range 4 {
				transA, transB := trans&1 != 0, trans&2 != 0
				lda, ldb := k, n
				if transA {
					lda = m
				}
				if transB {
					ldb = k
				}
				a, _ := guarded[float32](r, m*k/lda, lda, lda)
				b, _ := guarded[float32](r, k*n/ldb, ldb, ldb)
				want := make([]float32, m*n)
				gemmSerial(transA, transB, m, n, k, 0.5, a, lda, b, ldb, 0, want, n)
				for _, procs := range []int{1, 2, 3, 8} {
					withProcs(procs, func() {
						got := make([]float32, m*n)
						Gemm(transA, transB, m, n, k, 0.5, a, lda, b, ldb, 0, got, n)
						for i := range got {
							if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
								require.Failf(t, "not bit-equal", "%v procs %d, element %d", s, procs, i)
							}
						}
					})
				}
			}
		}
	})
}

// NaN and Inf in one element of A or B reach exactly the row or column of C
// that it takes part in, even against zeros.
func TestGemmPropagatesNaNAndInf(t *testing.T) {
	const m, n, k = 19, 37, 23
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	eachImpl(t, func(t *testing.T) {
		for _, bad := range []float32{nan, inf, -inf} {
			for trans := range 4 {
				transA, transB := trans&1 != 0, trans&2 != 0
				lda, ldb := k, n
				if transA {
					lda = m
				}
				if transB {
					ldb = k
				}
				for _, inA := range []bool{true, false} {
					a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
					row, col, at := 17, 35, 21
					switch {
					case inA && transA:
						a[at*lda+row] = bad
					case inA:
						a[row*lda+at] = bad
					case transB:
						b[col*ldb+at] = bad
					default:
						b[at*ldb+col] = bad
					}
					Gemm(transA, transB, m, n, k, 1, a, lda, b, ldb, 0, c, n)
					for i := range m {
						for j := range n {
							reached := inA && i == row || !inA && j == col // 0*Inf is NaN too
							assert.Equal(t, reached, math.IsNaN(float64(c[i*n+j])), "trans %d, C[%d,%d]", trans, i, j)
						}
					}
				}
			}
		}
	})
}

// After the first calls a product allocates nothing that grows with it.
func TestGemmReusesItsWorkspace(t *testing.T) {
	const size, calls = 256, 4
	a, b, c := make([]float32, size*size), make([]float32, size*size), make([]float32, size*size)
	eachImpl(t, func(t *testing.T) {
		withProcs(2, func() {
			run := func() { Gemm(false, true, size, size, size, 1, a, size, b, size, 0, c, size) }
			run()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range calls {
				run()
			}
			runtime.ReadMemStats(&after)
			// The second worker's buffer may first be needed now, but only once.
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(calls*size*size*4/2))
		})
	})
}

func TestWorkspacesAreBounded(t *testing.T) {
	w := &workspaces32
	var held [][]float32
	for i := range 40 {
		held = append(held, workspace[float32](1<<20+i))
	}
	for _, buffer := range held {
		release(buffer)
	}
	assert.LessOrEqual(t, w.held, workspaceLimit)
	total := 0
	for _, buffer := range w.free {
		total += cap(buffer)
	}
	assert.Equal(t, total, w.held)
	release[float32](nil)
	assert.Equal(t, total, w.held)
}

func ExampleGemm() {
	a := []float32{1, 2, 3, 4, 5, 6} // (2,3)
	b := []float32{1, 0, 0, 1, 1, 1} // (3,2)
	c := make([]float32, 4)          // (2,2)
	Gemm(false, false, 2, 2, 3, 1, a, 3, b, 2, 0, c, 2)
	fmt.Println(c)
	// Output: [4 5 10 11]
}
