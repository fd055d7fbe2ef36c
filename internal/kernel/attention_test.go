package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// attnCases are the shapes of the systems in small, and what lies across the
// edges of blocks (64 queries), tiles (256 keys), panels and vectors.
func attnCases() map[string]AttentionShape {
	return map[string]AttentionShape{
		"one token":            {B: 1, T: 1, H: 1, K: 1, D: 1, Scale: 1},
		"one channel":          {B: 1, T: 9, H: 2, K: 2, D: 1, Scale: 1},
		"odd":                  {B: 2, T: 7, H: 3, K: 3, D: 5, Scale: 0.5},
		"one block":            {B: 1, T: 64, H: 2, K: 2, D: 32, Scale: 0.2},
		"a block and a row":    {B: 1, T: 65, H: 1, K: 1, D: 16, Scale: 0.2},
		"two tiles, prime":     {B: 1, T: 331, H: 2, K: 2, D: 8, Scale: 0.3},
		"three tiles":          {B: 1, T: 600, H: 1, K: 1, D: 24, Scale: 0.2},
		"many heads":           {B: 2, T: 33, H: 8, K: 8, D: 17, Scale: 0.25},
		"largest head":         {B: 1, T: 70, H: 1, K: 1, D: 256, Scale: 1. / 16},
		"head of 80":           {B: 1, T: 70, H: 2, K: 2, D: 80, Scale: 0.1},
		"grouped":              {B: 2, T: 75, H: 6, K: 2, D: 16, Scale: 0.25},
		"multi-query":          {B: 2, T: 75, H: 4, K: 1, D: 40, Scale: 0.2},
		"window":               {B: 1, T: 150, H: 2, K: 1, D: 16, Scale: 0.25, Window: 37},
		"window of 1":          {B: 1, T: 70, H: 1, K: 1, D: 8, Scale: 0.25, Window: 1},
		"window of 64":         {B: 1, T: 200, H: 1, K: 1, D: 8, Scale: 0.25, Window: 64},
		"window beyond T":      {B: 1, T: 20, H: 1, K: 1, D: 8, Scale: 0.25, Window: 21},
		"window across tiles":  {B: 1, T: 700, H: 1, K: 1, D: 8, Scale: 0.25, Window: 300},
		"soft-cap":             {B: 1, T: 90, H: 2, K: 2, D: 16, Scale: 2, SoftCap: 3},
		"soft-cap and window":  {B: 1, T: 300, H: 2, K: 1, D: 16, Scale: 1, SoftCap: 30, Window: 270},
		"dropout":              {B: 2, T: 77, H: 4, K: 2, D: 16, Scale: 0.25, Dropout: 0.3, Key: [2]uint32{1, 2}, Ctr: [2]uint32{3, 4}},
		"dropout, many tiles":  {B: 1, T: 290, H: 1, K: 1, D: 8, Scale: 0.25, Dropout: 0.1, Key: [2]uint32{5, 0}},
		"everything":           {B: 2, T: 140, H: 4, K: 2, D: 20, Scale: 0.3, Window: 99, SoftCap: 2, Dropout: 0.2, KeyMask: everyThird(2 * 140)},
		"key mask":             {B: 2, T: 67, H: 2, K: 2, D: 8, Scale: 0.3, KeyMask: everyThird(2 * 67)},
		"one, multi-query":     {B: 1, T: 1, Past: 300, H: 19, K: 1, D: 48, Scale: 0.2, Dropout: 0.5, KeyMask: everyThird(301)},
		"after a cache":        {B: 1, T: 5, Past: 300, H: 4, K: 2, D: 16, Scale: 0.25},
		"block after a cache":  {B: 2, T: 66, Past: 13, H: 2, K: 1, D: 16, Scale: 0.25, Window: 40},
		"one after a cache":    {B: 1, T: 1, Past: 520, H: 4, K: 2, D: 33, Scale: 0.25},
		"one, late window":     {B: 1, T: 1, Past: 150, H: 2, K: 1, D: 8, Scale: 0.25, Window: 70},
		"strip ends a vector":  {B: 1, T: 42, Past: 6, H: 1, K: 1, D: 8, Scale: 0.25},
		"cache with room":      {B: 1, T: 3, Past: 40, Cap: 50, H: 2, K: 2, D: 8, Scale: 0.25, SoftCap: 5, KeyMask: everyThird(50)},
		"one, window, a cache": {B: 2, T: 1, Past: 99, H: 4, K: 1, D: 8, Scale: 0.25, SoftCap: 5, Window: 70},
	}
}

// everyThird hides every third key, the first one included, so that the first
// query has no key at all.
func everyThird(n int) []bool {
	mask := make([]bool, n)
	for i := range mask {
		mask[i] = i%3 != 0
	}
	return mask
}

// singles bounds the error of float32 relative to the largest element: some
// hundred roundings of 2^-24.
const singles = 1e-5

func TestAttentionMatchesItsDefinition(t *testing.T) {
	for name, s := range attnCases() {
		t.Run(name, func(t *testing.T) {
			checkAttention[float64](t, s, 1e-13)
			checkAttention[float32](t, s, singles)
		})
	}
}

// TestAttentionEveryHeadSize covers what rounds D up to vectors and panels.
func TestAttentionEveryHeadSize(t *testing.T) {
	for D := 1; D <= 256; D++ {
		checkAttention[float32](t, AttentionShape{B: 1, T: 11, H: 1, K: 1, D: D, Scale: 1 / math.Sqrt(float64(D))}, singles)
	}
}

// TestAttentionEveryLength covers the edges of strips and panels.
func TestAttentionEveryLength(t *testing.T) {
	for T := 1; T <= 100; T++ {
		s := AttentionShape{B: 1, T: T, H: 2, K: 1, D: 4, Scale: 0.5}
		checkAttention[float32](t, s, singles)
		s.Window = 1 + T/3
		s.Past = T % 7
		checkAttention[float32](t, s, singles)
	}
}

// TestAttentionGradient compares the backward pass with central differences of
// sum(o * do).
func TestAttentionGradient(t *testing.T) {
	s := AttentionShape{B: 2, T: 6, Past: 2, H: 4, K: 2, D: 3, Scale: 0.8, SoftCap: 1.5, Window: 4,
		Dropout: 0.25, Key: [2]uint32{7, 8}, KeyMask: everyThird(16)}
	a := newAttnArrays[float64](s, 1, 1)
	a.forward(s)
	a.backward(s)
	value := func() (sum float64) {
		o := make([]float64, len(a.o))
		AttentionForward(s, o, a.ldq, nil, a.q, a.ldq, a.k, a.ldk, a.v, a.ldk)
		for i, x := range o {
			sum += x * a.do[i]
		}
		return sum
	}
	const step = 1e-5
	check := func(name string, x, dx []float64, ld, heads int) {
		for i := range x {
			if i%ld >= heads*s.D {
				continue // between rows
			}
			at := x[i]
			x[i] = at + step
			up := value()
			x[i] = at - step
			down := value()
			x[i] = at
			require.InDelta(t, (up-down)/(2*step), dx[i], 1e-8, "%s[%d]", name, i)
		}
	}
	check("dq", a.q, a.dq, a.ldq, s.H)
	check("dk", a.k, a.dk, a.ldk, s.K)
	check("dv", a.v, a.dv, a.ldk, s.K)
}
