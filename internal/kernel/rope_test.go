package kernel

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRoPEIsAComplexRotation checks both pairings against x+iy times
// exp(i*position*theta^(-2i/D)).
func TestRoPEIsAComplexRotation(t *testing.T) {
	eachImpl(t, func(t *testing.T) {
		for D := 2; D <= 256; D += 2 {
			for _, pairing := range []RoPEPairing{RoPEHalf, RoPEInterleaved} {
				checkRoPE[float64](t, D, pairing, 1e-13)
				checkRoPE[float32](t, D, pairing, 3.0/(1<<24)) // what RoPE states
			}
		}
	})
}

// checkRoPE allows an error of tolerance (|x cos| + |y sin|).
func checkRoPE[T Float](t *testing.T, D int, pairing RoPEPairing, tolerance float64) {
	t.Helper()
	const B, tokens, heads, past, theta = 2, 5, 3, 4, 10000.0
	const pad = 3
	ld := heads*D + pad
	src := normals[T](rand.New(rand.NewPCG(1, uint64(D))), B*tokens*ld, 1)
	dst := make([]T, len(src))
	RoPE(NewRoPETable[T](past+tokens, D, theta), pairing, false, past, dst, ld, src, ld, B, tokens, heads)
	for r := 0; r < B*tokens; r++ {
		for h := 0; h < heads; h++ {
			for i := 0; i < D/2; i++ {
				x, y := r*ld+h*D+i, r*ld+h*D+i+D/2
				if pairing == RoPEInterleaved {
					x, y = r*ld+h*D+2*i, r*ld+h*D+2*i+1
				}
				angle := float64(past+r%tokens) * math.Pow(theta, -2*float64(i)/float64(D))
				want := complex(float64(src[x]), float64(src[y])) * cmplx.Exp(complex(0, angle))
				cos, sin := math.Abs(math.Cos(angle)), math.Abs(math.Sin(angle))
				a, b := math.Abs(float64(src[x])), math.Abs(float64(src[y]))
				if !(math.Abs(real(want)-float64(dst[x])) <= tolerance*(a*cos+b*sin) && math.Abs(imag(want)-float64(dst[y])) <= tolerance*(a*sin+b*cos)) {
					require.Failf(t, "differs", "D %d, row %d, head %d, pair %d: (%g,%g), want %g", D, r, h, i, dst[x], dst[y], want)
				}
			}
		}
		for p := r*ld + heads*D; p < (r+1)*ld; p++ {
			require.Zero(t, dst[p], "wrote beyond the heads")
		}
	}
}

// TestRoPEInverse checks that the inverse undoes the rotation in place.
func TestRoPEInverse(t *testing.T) {
	const B, tokens, heads, D = 2, 7, 2, 10
	table := NewRoPETable[float32](tokens, D, 10000)
	require.Equal(t, tokens, table.Positions())
	for _, pairing := range []RoPEPairing{RoPEHalf, RoPEInterleaved} {
		src := normals[float32](rand.New(rand.NewPCG(2, 0)), B*tokens*heads*D, 1)
		x := append([]float32(nil), src...)
		RoPE(table, pairing, false, 0, x, heads*D, x, heads*D, B, tokens, heads)
		require.NotEqual(t, src, x)
		RoPE(table, pairing, true, 0, x, heads*D, x, heads*D, B, tokens, heads)
		require.InDeltaSlice(t, src, x, 1e-6)
	}
}

// TestRoPEScoresDependOnDistance checks what RoPE is for: q.k depends on the
// difference of their positions alone.
func TestRoPEScoresDependOnDistance(t *testing.T) {
	const D, positions = 32, 40
	table := NewRoPETable[float64](positions, D, 10000)
	rng := rand.New(rand.NewPCG(3, 0))
	q, k := normals[float64](rng, D, 1), normals[float64](rng, D, 1)
	score := func(at, distance int) float64 {
		rq, rk := make([]float64, D), make([]float64, D)
		RoPE(table, RoPEHalf, false, at+distance, rq, D, q, D, 1, 1, 1)
		RoPE(table, RoPEHalf, false, at, rk, D, k, D, 1, 1, 1)
		var sum float64
		for i := range rq {
			sum += rq[i] * rk[i]
		}
		return sum
	}
	for _, distance := range []int{0, 1, 9} {
		require.InDelta(t, score(0, distance), score(positions-1-distance, distance), 1e-12)
	}
	require.Greater(t, math.Abs(score(0, 1)-score(0, 9)), 1e-3)
}

func TestRoPEMisuse(t *testing.T) {
	table := NewRoPETable[float32](4, 4, 10000)
	x := make([]float32, 16)
	require.Panics(t, func() { NewRoPETable[float32](4, 3, 10000) })
	require.Panics(t, func() { NewRoPETable[float32](4, 4, math.NaN()) })
	require.Panics(t, func() { RoPE(table, RoPEHalf, false, 1, x, 4, x, 4, 1, 4, 1) }, "positions 1..4")
	require.Panics(t, func() { RoPE(table, RoPEHalf, false, 0, x[:15], 4, x, 4, 1, 4, 1) }, "short dst")
}
