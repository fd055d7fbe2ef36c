package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

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
	for _, nothing := range []AttentionShape{{H: 1, K: 1, D: 8, Scale: 1}, {B: 1, H: 1, K: 1, D: 8, Scale: 1}} {
		require.NotPanics(t, func() { a.forward(nothing) })
		require.NotPanics(t, func() { a.backward(nothing) })
	}
	require.EqualValues(t, attnGuard, a.dk[0])
}
