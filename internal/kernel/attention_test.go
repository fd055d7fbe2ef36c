package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
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

// TestAttentionPacked checks that one array may hold q, k and v side by side.
func TestAttentionPacked(t *testing.T) {
	s := AttentionShape{B: 2, T: 19, H: 2, K: 2, D: 8, Scale: 0.35}
	C, rows := s.H*s.D, s.B*s.T
	rng := rand.New(rand.NewPCG(4, 0))
	qkv := normals[float64](rng, rows*3*C, 1)
	apart := make([][]float64, 3)
	for i := range apart {
		for r := 0; r < rows; r++ {
			apart[i] = append(apart[i], qkv[r*3*C+i*C:][:C]...)
		}
	}
	want, got := make([]float64, rows*C), make([]float64, rows*C)
	AttentionForward(s, want, C, nil, apart[0], C, apart[1], C, apart[2], C)
	AttentionForward(s, got, C, nil, qkv, 3*C, qkv[C:], 3*C, qkv[2*C:], 3*C)
	require.Equal(t, want, got)
}

// TestAttentionIncremental checks that decoding against a cache, in steps of
// any size, gives what the whole sequence gives at once.
func TestAttentionIncremental(t *testing.T) {
	for _, window := range []int{0, 20} {
		whole := AttentionShape{B: 2, T: 90, H: 4, K: 2, D: 16, Scale: 0.25, Window: window}
		eachImpl(t, func(t *testing.T) {
			a := newAttnArrays[float32](whole, 1, 5)
			a.forward(whole)
			for past := 0; past < whole.T; {
				step := whole
				step.Past, step.T, step.Cap = past, min(1+past%5, whole.T-past), whole.T
				q, o := make([]float32, step.B*step.T*a.ldq), make([]float32, step.B*step.T*a.ldq)
				for b := 0; b < whole.B; b++ {
					copy(q[b*step.T*a.ldq:(b+1)*step.T*a.ldq], a.q[(b*whole.T+past)*a.ldq:])
				}
				AttentionForward(step, o, a.ldq, nil, q, a.ldq, a.k, a.ldk, a.v, a.ldk)
				for r := 0; r < step.B*step.T; r++ {
					at := (r/step.T*whole.T + past + r%step.T) * a.ldq
					n := whole.H * whole.D
					require.InDeltaSlice(t, a.o[at:at+n], o[r*a.ldq:r*a.ldq+n], 2e-6)
				}
				past += step.T
			}
		})
	}
}

// TestAttentionDropoutKeepsTheMean checks the rate and that the mean is kept:
// with equal logits and values of 1, o is the kept share times 1/(1-p).
func TestAttentionDropoutKeepsTheMean(t *testing.T) {
	const p = 0.2
	s := AttentionShape{B: 4, T: 256, H: 4, K: 4, D: 1, Scale: 1, Dropout: p, Key: [2]uint32{9, 9}}
	n := s.B * s.T * s.H
	zeros, ones, o := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	sum := func(s AttentionShape) (sum float64) {
		AttentionForward(s, o, s.H, nil, zeros, s.H, zeros, s.H, ones, s.H)
		for i, x := range o {
			sum += float64(x) * float64(i/s.H%s.T+1) // (i+1) keys of weight 1/(i+1)
		}
		return sum
	}
	draws := float64(s.B*s.H) * float64(s.T*(s.T+1)/2)
	sigma := math.Sqrt(p / (1 - p) / draws)
	mean := sum(s) / draws
	require.InDelta(t, 1, mean, 4*sigma)
	require.Equal(t, mean, sum(s)/draws, "the same key")
	s.Ctr[0] = 1
	require.NotEqual(t, mean, sum(s)/draws, "another counter")
}

// TestAttentionLargeLogits checks that logits of a million overflow nothing,
// and that nothing is NaN or infinite where a query sees no key.
func TestAttentionLargeLogits(t *testing.T) {
	s := AttentionShape{B: 1, T: 300, H: 2, K: 2, D: 16, Scale: 1, KeyMask: everyThird(300)}
	eachImpl(t, func(t *testing.T) {
		a := newAttnArrays[float32](s, 300, 6)
		a.forward(s)
		a.backward(s)
		ref := attnReference(s, a)
		requireRows(t, "o", ref.o, s.H*s.D, a.o, a.ldq, 1e-2)
		for name, x := range map[string][]float32{"o": a.o, "lse": a.lse, "dq": a.dq, "dk": a.dk, "dv": a.dv} {
			for i, v := range x {
				require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0), "%s[%d] = %v", name, i, v)
			}
		}
		require.Equal(t, make([]float32, s.H*s.D), a.o[:s.H*s.D], "query 0 sees no key")
		require.Zero(t, a.lse[0])
		require.Equal(t, make([]float32, s.H*s.D), a.dq[:s.H*s.D])
	})
}

// TestAttentionNaN checks that a NaN reaches every query that sees it.
func TestAttentionNaN(t *testing.T) {
	s := AttentionShape{B: 1, T: 40, H: 1, K: 1, D: 8, Scale: 1}
	eachImpl(t, func(t *testing.T) {
		for _, poison := range []func(a *attnArrays[float32]) []float32{
			func(a *attnArrays[float32]) []float32 { return a.k },
			func(a *attnArrays[float32]) []float32 { return a.v },
		} {
			a := newAttnArrays[float32](s, 1, 7)
			poison(a)[20*a.ldk] = float32(math.NaN())
			a.forward(s)
			for i := 20; i < s.T; i++ {
				require.True(t, math.IsNaN(float64(a.o[i*a.ldq])), "o[%d]", i)
			}
		}
	})
}

// TestAttentionWorkers checks that any number of workers gives the same bits.
func TestAttentionWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, s := range []AttentionShape{
		{B: 1, T: 300, H: 4, K: 1, D: 16, Scale: 0.25, Window: 200},
		{B: 3, T: 65, H: 6, K: 6, D: 32, Scale: 0.2, Dropout: 0.1},
	} {
		eachImpl(t, func(t *testing.T) {
			var want *attnArrays[float32]
			for _, workers := range []int{1, 2, 3, 8} {
				runtime.GOMAXPROCS(workers)
				a := newAttnArrays[float32](s, 1, 8)
				a.forward(s)
				a.backward(s)
				if want == nil {
					want = a
				}
				require.Equal(t, want, a, "%d workers", workers)
			}
		})
	}
}

// TestAttentionAllocates checks that a warm call allocates nothing that grows
// with the tensors.
func TestAttentionAllocates(t *testing.T) {
	s := AttentionShape{B: 2, T: 200, H: 4, K: 2, D: 16, Scale: 0.25}
	a := newAttnArrays[float32](s, 1, 9)
	run := func() {
		a.forward(s)
		a.backward(s)
	}
	run()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const runs = 20
	for i := 0; i < runs; i++ {
		run()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(16<<10))
}

func TestAttentionMisuse(t *testing.T) {
	s := AttentionShape{B: 1, T: 4, H: 4, K: 2, D: 8, Scale: 1}
	a := newAttnArrays[float32](s, 1, 10)
	for i, change := range []func(s *AttentionShape){
		func(s *AttentionShape) { s.K = 3 },
		func(s *AttentionShape) { s.D = 257 },
		func(s *AttentionShape) { s.Scale = math.NaN() },
		func(s *AttentionShape) { s.Dropout = 1 },
		func(s *AttentionShape) { s.SoftCap = math.NaN() },
		func(s *AttentionShape) { s.Window = -1 },
		func(s *AttentionShape) { s.Cap = 3 },
		func(s *AttentionShape) { s.KeyMask = make([]bool, 3) },
		func(s *AttentionShape) { s.T = 5 },
	} {
		bad := s
		change(&bad)
		require.Panics(t, func() { a.forward(bad) }, fmt.Sprint(i))
		require.Panics(t, func() { a.backward(bad) }, fmt.Sprint(i))
	}
	require.NotPanics(t, func() { a.forward(AttentionShape{H: 1, K: 1, D: 8, Scale: 1}) }, "nothing to do")
}
