package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinearRows(t *testing.T) {
	eachImpl(t, func(t *testing.T) { testLinearRows[float32](t, 1.0/(1<<24)) })
	testLinearRows[float64](t, 1.0/(1<<53))
}

func testLinearRows[T Float](t *testing.T, eps float64) {
	for _, s := range [][3]int{{1, 1, 1}, {1, 7, 5}, {3, 64, 200}, {2, 259, 33}, {1, 768, 2304}, {9, 100, 1031}, {0, 3, 4}, {2, 5, 0}} {
		rows, in, out := s[0], s[1], s[2]
		rng := rand.New(rand.NewPCG(uint64(in), uint64(out)))
		x, w, wt := make([]T, rows*in), make([]T, in*out), make([]T, in*out)
		for i := range x {
			x[i] = T(rng.NormFloat64())
		}
		for k := range in {
			for j := range out {
				w[k*out+j] = T(rng.NormFloat64())
				wt[j*in+k] = w[k*out+j]
			}
		}
		for _, outIn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v outIn %v", s, outIn), func(t *testing.T) {
				m := w
				if outIn {
					m = wt
				}
				y := make([]T, rows*out+1)
				y[rows*out] = 7
				LinearRows(y, x, m, outIn, rows, in, out)
				require.EqualValues(t, 7, y[rows*out], "nothing is written beyond")
				for r := range rows {
					for j := range out {
						var want, size float64
						for k := range in {
							p := float64(x[r*in+k]) * float64(w[k*out+j])
							want, size = want+p, size+math.Abs(p)
						}
						require.InDelta(t, want, float64(y[r*out+j]), float64(in+2)*(eps+1.0/(1<<53))*size+1e-300, "row %d, column %d", r, j)
					}
					alone := make([]T, out)
					LinearRows(alone, x[r*in:], m, outIn, 1, in, out)
					require.Equal(t, y[r*out:(r+1)*out], alone, "row %d alone", r)
				}
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5))
				again := make([]T, rows*out)
				LinearRows(again, x, m, outIn, rows, in, out)
				require.Equal(t, y[:rows*out], again)
			})
		}
	}
	require.Panics(t, func() { LinearRows(make([]T, 4), make([]T, 3), make([]T, 11), false, 1, 3, 4) })
}

// BenchmarkLinearRows beside the same by Gemm.
func BenchmarkLinearRows(b *testing.B) {
	const in, out = 2048, 8192
	w := make([]float32, in*out)
	for i := range w {
		w[i] = float32(i % 7)
	}
	for _, rows := range []int{1, 8} {
		x, y := make([]float32, rows*in), make([]float32, rows*out)
		for i := range x {
			x[i] = float32(i % 5)
		}
		for _, outIn := range []bool{false, true} {
			ld := out
			if outIn {
				ld = in
			}
			name := fmt.Sprintf("rows %d/outIn %v/", rows, outIn)
			b.Run(name+"LinearRows", func(b *testing.B) {
				b.SetBytes(4 * in * out)
				for b.Loop() {
					LinearRows(y, x, w, outIn, rows, in, out)
				}
			})
			b.Run(name+"Gemm", func(b *testing.B) {
				b.SetBytes(4 * in * out)
				for b.Loop() {
					Gemm(false, outIn, rows, out, in, 1, x, in, w, ld, 0, y, out)
				}
			})
		}
	}
}
