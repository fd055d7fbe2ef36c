package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// attnArrays are the arguments of both passes. Rows are pad elements longer
// than their heads, and the pads of what is written hold guards.
type attnArrays[T Float] struct {
	q, k, v, do, o, dq, dk, dv, lse []T
	ldq, ldk                        int // of the arrays of H heads, and of K
}

const (
	attnPad   = 3
	attnGuard = 77
)

func newAttnArrays[T Float](s AttentionShape, std float64, seed uint64) *attnArrays[T] {
	rng := rand.New(rand.NewPCG(seed, 0))
	random := func(n int) []T { return normals[T](rng, n, std) }
	guards := func(n int) []T {
		x := make([]T, n)
		for i := range x {
			x[i] = attnGuard
		}
		return x
	}
	a := &attnArrays[T]{ldq: s.H*s.D + attnPad, ldk: s.K*s.D + attnPad}
	queries, keys := s.B*s.T*a.ldq, s.B*s.rows()*a.ldk
	a.q, a.k, a.v, a.do = random(queries), random(keys), random(keys), random(queries)
	a.o, a.dq = guards(queries), guards(queries)
	a.dk, a.dv = guards(keys), guards(keys)
	a.lse = guards(s.B*s.H*s.T + attnPad)
	return a
}

// normals returns n normal variates of mean 0.
func normals[T Float](rng *rand.Rand, n int, std float64) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(std * rng.NormFloat64())
	}
	return x
}

func (a *attnArrays[T]) forward(s AttentionShape) {
	AttentionForward(s, a.o, a.ldq, a.lse, a.q, a.ldq, a.k, a.ldk, a.v, a.ldk)
}

func (a *attnArrays[T]) backward(s AttentionShape) {
	AttentionBackward(s, a.dq, a.ldq, a.dk, a.ldk, a.dv, a.ldk, a.do, a.ldq, a.o, a.ldq, a.lse,
		a.q, a.ldq, a.k, a.ldk, a.v, a.ldk)
}

// requireGuards checks that nothing outside the heads' rows was written.
func (a *attnArrays[T]) requireGuards(t *testing.T, s AttentionShape) {
	t.Helper()
	for name, x := range map[string][]T{"o": a.o, "dq": a.dq} {
		for i := s.H * s.D; i < len(x); i += a.ldq {
			require.Equal(t, []T{attnGuard, attnGuard, attnGuard}, x[i:i+attnPad], name)
		}
	}
	for name, x := range map[string][]T{"dk": a.dk, "dv": a.dv} {
		for j := 0; j < len(x)/a.ldk; j++ {
			row := x[j*a.ldk : (j+1)*a.ldk]
			if j%s.rows() < s.keys() {
				row = row[s.K*s.D:]
			}
			for _, g := range row {
				require.EqualValues(t, attnGuard, g, "%s, row %d", name, j)
			}
		}
	}
	require.Equal(t, []T{attnGuard, attnGuard, attnGuard}, a.lse[s.B*s.H*s.T:], "lse")
}

// attnReference computes both passes from their definition in float64, with
// the (T,T) matrices of one head at a time. Rows are not padded.
func attnReference[T Float](s AttentionShape, a *attnArrays[T]) *attnArrays[float64] {
	C, CK := s.H*s.D, s.K*s.D
	ref := &attnArrays[float64]{ldq: C, ldk: CK}
	ref.o, ref.dq = make([]float64, s.B*s.T*C), make([]float64, s.B*s.T*C)
	ref.dk, ref.dv = make([]float64, s.B*s.rows()*CK), make([]float64, s.B*s.rows()*CK)
	ref.lse = make([]float64, s.B*s.H*s.T)
	for b := 0; b < s.B; b++ {
		for h := 0; h < s.H; h++ {
			g := h / (s.H / s.K)
			for i := 0; i < s.T; i++ {
				iq, rq := (b*s.T+i)*a.ldq+h*s.D, (b*s.T+i)*C+h*s.D
				p, slope, drop, dp := make([]float64, s.keys()), make([]float64, s.keys()), make([]float64, s.keys()), make([]float64, s.keys())
				top := math.Inf(-1)
				for j := range p {
					distance := s.Past + i - j
					p[j] = math.Inf(-1)
					if distance < 0 || (s.Window > 0 && distance >= s.Window) || (s.KeyMask != nil && !s.KeyMask[b*s.rows()+j]) {
						continue
					}
					var qk float64
					for d := 0; d < s.D; d++ {
						qk += float64(a.q[iq+d]) * float64(a.k[(b*s.rows()+j)*a.ldk+g*s.D+d])
					}
					p[j], slope[j] = s.Scale*qk, s.Scale
					if s.SoftCap > 0 {
						tanh := math.Tanh(p[j] / s.SoftCap)
						p[j], slope[j] = s.SoftCap*tanh, s.Scale*(1-tanh*tanh)
					}
					top = math.Max(top, p[j])
				}
				if math.IsInf(top, -1) {
					continue // nothing to attend to
				}
				var sum float64
				for j := range p {
					p[j] = math.Exp(p[j] - top)
					sum += p[j]
				}
				ref.lse[(b*s.H+h)*s.T+i] = top + math.Log(sum)
				var delta float64
				for j := range p {
					if p[j] == 0 {
						continue // hidden, or as good as
					}
					p[j] /= sum
					drop[j] = attnReferenceDrop(s, b, h, i, j)
					for d := 0; d < s.D; d++ {
						v := float64(a.v[(b*s.rows()+j)*a.ldk+g*s.D+d])
						ref.o[rq+d] += p[j] * drop[j] * v
						dp[j] += float64(a.do[iq+d]) * v * drop[j]
						ref.dv[(b*s.rows()+j)*CK+g*s.D+d] += p[j] * drop[j] * float64(a.do[iq+d])
					}
					delta += p[j] * dp[j]
				}
				for j := range p {
					if p[j] == 0 {
						continue
					}
					ds := p[j] * (dp[j] - delta) * slope[j]
					for d := 0; d < s.D; d++ {
						ref.dq[rq+d] += ds * float64(a.k[(b*s.rows()+j)*a.ldk+g*s.D+d])
						ref.dk[(b*s.rows()+j)*CK+g*s.D+d] += ds * float64(a.q[iq+d])
					}
				}
			}
		}
	}
	return ref
}

// attnReferenceDrop is the factor that dropout puts on one probability.
func attnReferenceDrop(s AttentionShape, b, h, i, j int) float64 {
	if s.Dropout == 0 {
		return 1
	}
	const group, lanes = 64, 16 // element 64n + 16w + l is word w of block 16n + l
	block := ((b*s.H+h)*s.T+i)*((s.keys()+group-1)/group)*lanes + j/group*lanes + j%lanes
	words := Philox(s.Key, [4]uint32{uint32(block), uint32(block >> 32), s.Ctr[0], s.Ctr[1]})
	if words[j%group/lanes] < uint32(s.Dropout*(1<<32)) {
		return 0
	}
	return 1 / (1 - s.Dropout)
}

// requireRows compares the first n elements of rows with stride ld. The error
// is taken relative to the largest element, or to 0.1, where all vanish.
func requireRows[T Float](t *testing.T, name string, want []float64, n int, got []T, ld int, tolerance float64) {
	t.Helper()
	largest := 0.1 // of arguments of about 1
	for _, x := range want {
		largest = math.Max(largest, math.Abs(x))
	}
	for i, x := range want {
		y := float64(got[i/n*ld+i%n])
		if !(math.Abs(x-y) <= tolerance*largest) {
			require.Failf(t, "differs", "%s[%d,%d] = %g, want %g within %g", name, i/n, i%n, y, x, tolerance*largest)
		}
	}
}

// checkAttention runs both passes on random arrays and compares them with the
// reference, on each implementation that T has.
func checkAttention[T Float](t *testing.T, s AttentionShape, tolerance float64) {
	t.Helper()
	random := func() *attnArrays[T] { return newAttnArrays[T](s, 1, uint64(s.T*1000+s.D)) }
	want := attnReference(s, random())
	C, CK := s.H*s.D, s.K*s.D
	if s.Cap > s.keys() {
		want.dk, want.dv = want.dk[:s.keys()*CK], want.dv[:s.keys()*CK] // of the first sequence
	}
	check := func(t *testing.T) {
		poison := newAttnArrays[T](s, math.NaN(), 1)
		poison.backward(s)
		poison.forward(s) // what it leaves in the work's memory must not come back
		a := random()
		a.forward(s)
		a.backward(s)
		a.requireGuards(t, s)
		requireRows(t, "o", want.o, C, a.o, a.ldq, tolerance)
		requireRows(t, "lse", want.lse, 1, a.lse, 1, tolerance)
		requireRows(t, "dq", want.dq, C, a.dq, a.ldq, tolerance)
		requireRows(t, "dk", want.dk, CK, a.dk, a.ldk, tolerance)
		requireRows(t, "dv", want.dv, CK, a.dv, a.ldk, tolerance)
	}
	if _, single := any(T(0)).(float32); single {
		eachImpl(t, check)
	} else {
		check(t)
	}
}
