package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Known answers of Random123's kat_vectors for philox4x32-10.
func TestPhiloxKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	require.Equal(t, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
		Philox([2]uint32{}, [4]uint32{}))
	require.Equal(t, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		Philox([2]uint32{f, f}, [4]uint32{f, f, f, f}))
	require.Equal(t, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		Philox([2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}))
}

func TestDropoutEachLength(t *testing.T) { eachImpl(t, testDropoutEachLength) }

func testDropoutEachLength(t *testing.T) {
	key, ctr := [2]uint32{1, 2}, [2]uint32{3, 4}
	const p = 0.3
	eachLength(func(n int) {
		x := randn[float32](n, 1, 1)
		y, intact := fenced[float32](n)
		Dropout(y, x, p, key, ctr)
		require.True(t, intact(), "n = %d", n)
		want := make([]float32, n)
		for i := range x {
			block := uint32(i/64*16 + i%16)
			word := Philox(key, [4]uint32{block, 0, ctr[0], ctr[1]})[i%64/16]
			if float64(word) >= p*(1<<32) {
				want[i] = x[i] * float32(1/(1-p))
			}
		}
		require.Equal(t, want, y, "n = %d", n)
	})
}

// The block counter is 64 bits wide: a mask may have more than 2^34 elements.
func TestDropoutCounterCarries(t *testing.T) { eachImpl(t, testDropoutCounterCarries) }

func testDropoutCounterCarries(t *testing.T) {
	x, y := make([]float32, 64), make([]float32, 64)
	Fill(x, 1)
	mask := newDropoutMask[float32](0.5, [2]uint32{5, 6}, [2]uint32{7, 8})
	first := uint64(1<<32 - 8) // half of the lanes carry
	loopsOf[float32]().dropout(y, x, mask, first)
	require.Equal(t, mask.factors(first), [64]float32(y))
}

func TestDropoutMean(t *testing.T) { eachImpl(t, testDropoutMean) }

func testDropoutMean(t *testing.T) {
	const n, p = 1 << 20, 0.1
	x := make([]float32, n)
	Fill(x, 1)
	Dropout(x, x, p, [2]uint32{9, 9}, [2]uint32{})
	sigma := math.Sqrt(p / (1 - p) / n)
	require.InDelta(t, 1, Sum(x)/n, 4*sigma)
	Fill(x, 1)
	Dropout(x, x, 0, [2]uint32{9, 9}, [2]uint32{})
	require.Equal(t, float64(n), Sum(x), "p = 0 keeps all")
	require.Panics(t, func() { Dropout(x, x, 1, [2]uint32{}, [2]uint32{}) })
}

func TestDropPath(t *testing.T) { eachImpl(t, testDropPath) }

func testDropPath(t *testing.T) {
	const samples, size, p = 100, 3, 0.4
	x := randn[float64](samples*size, 1, 1)
	y := make([]float64, len(x))
	DropPath(y, x, samples, p, [2]uint32{1}, [2]uint32{2})
	dropped := 0
	for s := range samples {
		if y[s*size] == 0 {
			dropped++
		}
		for i := s * size; i < (s+1)*size; i++ {
			if y[s*size] == 0 {
				require.Zero(t, y[i])
			} else {
				require.InDelta(t, x[i]/(1-p), y[i], 1e-12)
			}
		}
	}
	require.InDelta(t, p*samples, dropped, 4*math.Sqrt(p*(1-p)*samples))
}
