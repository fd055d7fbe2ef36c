package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// topKRef sorts: larger first, NaN before all, lower index first of equals.
func topKRef(x []float32, k int) []int32 {
	indices := make([]int32, len(x))
	for i := range indices {
		indices[i] = int32(i)
	}
	isNaN := func(v float32) bool { return v != v }
	slices.SortStableFunc(indices, func(a, b int32) int {
		switch x, y := x[a], x[b]; {
		case x > y || isNaN(x) && !isNaN(y):
			return -1
		case x < y || isNaN(y) && !isNaN(x):
			return 1
		}
		return 0
	})
	return indices[:k]
}

func TestTopK(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	values := []float32{nan, inf, -inf, 0, 1, 2, 3, 4, -1} // few, so that ties abound
	for cols := 1; cols <= 9; cols++ {
		for k := 1; k <= cols; k++ {
			const rows = 50
			x := make([]float32, rows*cols)
			for i := range x {
				x[i] = values[rng.IntN(len(values))]
			}
			got := make([]int32, rows*k)
			TopK(got, x, rows, cols, k)
			for r := range rows {
				require.Equal(t, topKRef(row(x, r, cols), k), row(got, r, k), "row %v", row(x, r, cols))
			}
		}
	}
	require.PanicsWithValue(t, "kernel: TopK: k is larger than the row", func() { TopK(make([]int32, 3), []float32{1, 2}, 1, 2, 3) })
}

// gatesRef are a token's gates by the definitions: the softmax of the chosen
// logits alone, or that of all logits at the chosen places.
func gatesRef(logits []float64, chosen []int32, renormalize bool) []float64 {
	var sum float64
	for e, l := range logits {
		if !renormalize || slices.Contains(chosen, int32(e)) {
			sum += math.Exp(l)
		}
	}
	gates := make([]float64, len(logits))
	for _, e := range chosen {
		gates[e] = math.Exp(logits[e]) / sum
	}
	return gates
}

func TestRouter(t *testing.T) {
	const rows, experts = 7, 5
	for k := 1; k <= experts; k++ {
		for _, renormalize := range []bool{true, false} {
			r := Router[float64]{Rows: rows, Experts: experts, K: k, Renormalize: renormalize}
			logits := randn[float64](rows*experts, 2, 1)
			gates, probs := make([]float64, rows*experts), make([]float64, rows*experts)
			chosen := make([]int32, rows*k)
			r.Forward(gates, probs, chosen, logits)
			for n := range rows {
				l := row(logits, n, experts)
				requireClose(t, gatesRef(l, row(chosen, n, k), renormalize), row(gates, n, experts), 1e-15, "gates of %v", l)
				requireClose(t, gatesRef(l, []int32{0, 1, 2, 3, 4}, false), row(probs, n, experts), 1e-15, "probs of %v", l)
			}

			dgates, dlogits := randn[float64](rows*experts, 1, 2), make([]float64, rows*experts)
			r.Backward(dlogits, dgates, probs, chosen)
			again, unused := make([]float64, rows*experts), make([]int32, rows*k)
			want := numericalGrad(logits, func() float64 {
				r.Forward(again, probs, unused, logits)
				return dot(again, dgates)
			})
			requireClose(t, want, dlogits, 1e-9, "k = %d, renormalize = %v", k, renormalize)
		}
	}
}

// A NaN must not hide behind the experts that are not chosen.
func TestRouterPropagatesNaN(t *testing.T) {
	r := Router[float32]{Rows: 1, Experts: 3, K: 1, Renormalize: true}
	gates, probs, chosen := make([]float32, 3), make([]float32, 3), make([]int32, 1)
	r.Forward(gates, probs, chosen, []float32{1, 5, float32(math.NaN())})
	require.Equal(t, []int32{2}, chosen)
	require.True(t, gates[2] != gates[2])
}

func TestBalanceBackward(t *testing.T) {
	const rows, cols = 3, 4
	logits, f := randn[float64](rows*cols, 1, 1), randn[float64](cols, 1, 2)
	p, got := make([]float64, rows*cols), make([]float64, rows*cols)
	want := numericalGrad(logits, func() float64 {
		Softmax(p, logits, rows, cols)
		var sum float64
		for r := range rows {
			sum += dot(f, row(p, r, cols))
		}
		return 1.7 * sum
	})
	BalanceBackward(got, logits, f, 1.7, rows, cols)
	requireClose(t, want, got, 1e-9, "dlogits")
}

// gatesOf draws gates of which about a third is open; NaN is open too.
func gatesOf(tokens, experts int) []float64 {
	rng := rand.New(rand.NewPCG(5, 6))
	gates := make([]float64, tokens*experts)
	for i := range gates {
		if rng.IntN(3) == 0 {
			gates[i] = rng.NormFloat64()
		}
	}
	return gates
}

func TestDispatch(t *testing.T) {
	const cols = 3
	var d Dispatch[float64]
	for _, size := range [][2]int{{1, 1}, {5, 4}, {70, 3}, {2, 9}, {33, 8}} { // one after the other in the same memory
		tokens, experts := size[0], size[1]
		gates, x := gatesOf(tokens, experts), randn[float64](tokens*cols, 1, 3)
		d.Sort(gates, tokens, experts)

		s := 0
		slots, used := make([]float64, d.Slots()*cols), make([]float64, tokens*cols)
		d.Gather(slots, x, cols)
		for e := range experts {
			lo, hi := d.Range(e)
			require.Equal(t, s, lo)
			for n := range tokens {
				if g := gates[n*experts+e]; g != 0 {
					require.Equal(t, row(x, n, cols), row(slots, s, cols), "slot %d", s)
					for c := range cols {
						used[n*cols+c] += g * slots[s*cols+c]
					}
					s++
				}
			}
			require.Equal(t, s, hi)
		}
		require.Equal(t, s, d.Slots())

		y := randn[float64](tokens*cols, 1, 4) // to be overwritten
		d.Combine(y, slots, true, cols)
		requireClose(t, used, y, 1e-15, "weighted")
		weighed := slices.Clone(slots)
		d.Weigh(weighed, cols)
		d.Combine(y, weighed, false, cols)
		requireClose(t, used, y, 1e-15, "weighed, then summed")

		b, dgates := randn[float64](len(slots), 1, 5), randn[float64](len(gates), 1, 6)
		d.GateGradients(dgates, slots, b, cols)
		for e := range experts {
			s, _ := d.Range(e)
			for n := range tokens {
				if gates[n*experts+e] == 0 {
					require.Zero(t, dgates[n*experts+e])
					continue
				}
				require.InDelta(t, dot(row(slots, s, cols), row(b, s, cols)), dgates[n*experts+e], 1e-14)
				s++
			}
		}
	}
}

func TestInnerProductEachLength(t *testing.T) {
	eachLength(func(n int) {
		a, b := randn[float32](n, 1, 1), randn[float32](n, 1, 2)
		require.InDelta(t, dot(widen(a), widen(b)), innerProduct(a, b), 1e-12*float64(n+1))
	})
}
