package blas

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var (
	_ gorgonia.BLAS = Implementation{}
	_ tensor.BLAS   = Implementation{}
)

func random[T float32 | float64](r *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.Float64() - 0.5)
	}
	return x
}

// The products of this size differ from Gonum's by rounding alone: at most
// twice (k+2) eps times the sum of |a||b| <= k/4, see kernel.Gemm.
func TestAgreesWithGonum(t *testing.T) {
	const m, n, k = 37, 41, 53
	tolerance := func(eps float64) float64 { return 2 * (k + 2) * eps * k / 4 }
	r := rand.New(rand.NewPCG(3, 4))
	for _, tA := range []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans} {
		for _, tB := range []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans} {
			lda, ldb := k, n
			if tA != blas.NoTrans {
				lda = m
			}
			if tB != blas.NoTrans {
				ldb = k
			}
			a, b, c := random[float32](r, m*k), random[float32](r, k*n), random[float32](r, m*n)
			want := append([]float32(nil), c...)
			gonum.Implementation{}.Sgemm(tA, tB, m, n, k, 1.5, a, lda, b, ldb, -0.5, want, n)
			Implementation{}.Sgemm(tA, tB, m, n, k, 1.5, a, lda, b, ldb, -0.5, c, n)
			assert.InDeltaSlice(t, want, c, tolerance(1.5*math.Ldexp(1, -24)))

			a64, b64, c64 := random[float64](r, m*k), random[float64](r, k*n), random[float64](r, m*n)
			want64 := append([]float64(nil), c64...)
			gonum.Implementation{}.Dgemm(tA, tB, m, n, k, 1.5, a64, lda, b64, ldb, -0.5, want64, n)
			Implementation{}.Dgemm(tA, tB, m, n, k, 1.5, a64, lda, b64, ldb, -0.5, c64, n)
			assert.InDeltaSlice(t, want64, c64, tolerance(1.5*math.Ldexp(1, -53)))
		}
	}
}

// message returns what f panics with, nil if it does not.
func message(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestMisusePanicsAsGonumDoes(t *testing.T) {
	x := make([]float32, 12)
	for name, call := range map[string]func(s gemmer){
		"transpose": func(s gemmer) { s.Sgemm('x', blas.NoTrans, 2, 3, 2, 1, x, 2, x, 3, 0, x, 3) },
		"negative":  func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, -2, 3, 2, 1, x, 2, x, 3, 0, x, 3) },
		"lda":       func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 1, x, 3, 0, x, 3) },
		"ldb":       func(s gemmer) { s.Sgemm(blas.NoTrans, blas.Trans, 2, 3, 2, 1, x, 2, x, 1, 0, x, 3) },
		"ldc":       func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 2, x, 3, 0, x, 2) },
		"short a":   func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x[:3], 2, x, 3, 0, x, 3) },
		"short b":   func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 2, x[:5], 3, 0, x, 3) },
		"short c":   func(s gemmer) { s.Sgemm(blas.NoTrans, blas.NoTrans, 2, 3, 2, 1, x, 2, x, 3, 0, x[:5], 3) },
	} {
		want := message(func() { call(gonum.Implementation{}) })
		require.NotNil(t, want, name)
		assert.Equal(t, want, message(func() { call(Implementation{}) }), name)
	}
}

type gemmer = interface {
	Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int)
}

// k = 0 leaves beta C, as in the reference BLAS.
func TestEmptySum(t *testing.T) {
	c := []float32{1, 2, 3, 4}
	Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 0, 1, []float32{7, 7}, 1, []float32{7, 7}, 2, 0.5, c, 2)
	assert.Equal(t, []float32{0.5, 1, 1.5, 2}, c)
}

// plainGraph is a two-layer network of stock nodes: x (rows,in), hidden
// (rows,width), output (rows,out). run computes loss and gradients.
func plainGraph(t testing.TB, rows, in, width, out int) (run func() []float32) {
	g := gorgonia.NewGraph()
	r := rand.New(rand.NewPCG(5, 6))
	matrix := func(name string, rows, cols int) *gorgonia.Node {
		value := tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(random[float32](r, rows*cols)))
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, cols), gorgonia.WithValue(value))
	}
	x, w1, w2 := matrix("x", rows, in), matrix("w1", in, width), matrix("w2", width, out)
	hidden := gorgonia.Must(gorgonia.Tanh(gorgonia.Must(gorgonia.Mul(x, w1))))
	loss := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Mul(hidden, w2))))))
	grads, err := gorgonia.Grad(loss, w1, w2)
	require.NoError(t, err)
	vm := gorgonia.NewTapeMachine(g)
	t.Cleanup(func() { vm.Close() })
	return func() []float32 {
		vm.Reset()
		require.NoError(t, vm.RunAll())
		result := []float32{loss.Value().Data().(float32)}
		for _, grad := range grads {
			result = append(result, grad.Value().Data().([]float32)...)
		}
		return result
	}
}

// TestPlainGraph runs one step twice, with Gonum's BLAS and with ours: loss and
// gradients agree to rounding.
func TestPlainGraph(t *testing.T) {
	defer gorgonia.Use(gorgonia.WhichBLAS())
	gorgonia.Use(gonum.Implementation{})
	want := plainGraph(t, 24, 40, 56, 8)()
	gorgonia.Use(Implementation{})
	assert.InDeltaSlice(t, want, plainGraph(t, 24, 40, 56, 8)(), 1e-6)
}

// BenchmarkPlainGraph shows what gorgonia.Use(blas.Implementation{}) gains.
func BenchmarkPlainGraph(b *testing.B) {
	defer gorgonia.Use(gorgonia.WhichBLAS())
	for _, c := range []struct {
		name string
		blas gorgonia.BLAS
	}{{"gonum", gonum.Implementation{}}, {"gorget", Implementation{}}} {
		b.Run(c.name, func(b *testing.B) {
			gorgonia.Use(c.blas)
			run := plainGraph(b, 256, 512, 1024, 256)
			run()
			for b.Loop() {
				run()
			}
		})
	}
}
