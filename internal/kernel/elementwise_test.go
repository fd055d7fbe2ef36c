package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestElementwise(t *testing.T) { eachImpl(t, testElementwise) }

func testElementwise(t *testing.T) {
	eachLength(func(n int) {
		a, b := randn[float32](n, 1, 1), randn[float32](n, 1, 2)
		sum, sum2, scaled, axpy := make([]float32, n), make([]float32, n), make([]float32, n), make([]float64, n)
		for i := range a {
			sum[i] = a[i] + b[i]
			sum2[i] = sum[i] + a[i]
			scaled[i] = 3 * a[i]
			axpy[i] = float64(scaled[i]) + 0.5*float64(b[i])
		}
		dst, intact := fenced[float32](n)
		Add(dst, a, b)
		require.Equal(t, sum, dst, "Add n = %d", n)
		AddTo(dst, a)
		require.Equal(t, sum2, dst, "AddTo n = %d", n)
		Scale(dst, 3, a)
		require.Equal(t, scaled, dst, "Scale n = %d", n)
		Axpy(dst, 0.5, b)
		requireClose(t, axpy, dst, 1e-7, "Axpy n = %d", n)
		Fill(dst, 7)
		require.Equal(t, 7*float64(n), Sum(dst), "Fill n = %d", n)
		require.True(t, intact(), "n = %d", n)
	})
	require.Panics(t, func() { Add(make([]float64, 2), make([]float64, 2), make([]float64, 1)) })
}

func TestReductions(t *testing.T) { eachImpl(t, testReductions) }

func testReductions(t *testing.T) {
	eachLength(func(n int) {
		x := randn[float32](n, 1, 1)
		var sum, squares, largest float64
		for _, v := range widen(x) {
			sum += v
			squares += v * v
			largest = max(largest, math.Abs(v))
		}
		require.InDelta(t, sum, Sum(x), 1e-11*(1+squares), "n = %d", n)
		require.InDelta(t, squares, SumSquares(x), 1e-12*(1+squares), "n = %d", n)
		require.Equal(t, float32(largest), MaxAbs(x), "n = %d", n)
		require.Equal(t, -1, FirstNonFinite(x))
	})
	big := make([]float32, 2*reduceGrain)
	Fill(big, 1e30)
	require.InEpsilon(t, 1e60*float64(len(big)), SumSquares(big), 1e-6, "no overflow")
}

func TestReductionsSeeEveryNonFinite(t *testing.T) { eachImpl(t, testReductionsSeeEveryNonFinite) }

func testReductionsSeeEveryNonFinite(t *testing.T) {
	for _, n := range []int{1, 40, 3*reduceGrain + 5} {
		for _, at := range []int{0, n / 3, n - 1} {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				x := randn[float32](n, 1, 1)
				x[at] = bad
				x[n-1] = bad
				require.Equal(t, at, FirstNonFinite(x))
				require.False(t, finite(MaxAbs(x)))
				require.Equal(t, bad == bad, MaxAbs(x) == MaxAbs(x), "MaxAbs keeps a NaN")
				require.False(t, finite(SumSquares(x)))
				require.False(t, finite(Sum(x)))
			}
		}
	}
}

func TestBias(t *testing.T) { eachImpl(t, testBias) }

func testBias(t *testing.T) {
	normShapes(func(rows, cols int) {
		y, bias := randn[float32](rows*cols, 1, 1), randn[float32](cols, 1, 2)
		biased := make([]float32, rows*cols)
		for i := range y {
			biased[i] = y[i] + bias[i%cols]
		}
		AddBias(y, bias, rows, cols)
		require.Equal(t, biased, y)
		want := make([]float64, cols)
		for i, v := range y {
			want[i%cols] += float64(v)
		}
		dbias, intact := fenced[float32](cols)
		SumRows(dbias, y, rows, cols)
		require.True(t, intact())
		requireClose(t, want, dbias, sumTolerance(rows), "SumRows of (%d,%d)", rows, cols)
	})
}

func TestEmbedding(t *testing.T) { eachImpl(t, testEmbedding) }

func testEmbedding(t *testing.T) {
	const vocab, cols = 70, 5
	table := randn[float64](vocab*cols, 1, 1)
	ids := []int32{3, 69, 3, 0, 41}
	y := make([]float64, len(ids)*cols)
	Embedding(y, table, ids, cols)
	for r, id := range ids {
		require.Equal(t, row(table, int(id), cols), row(y, r, cols))
	}

	want := make([]float64, vocab*cols)
	for r, id := range ids {
		for c := range cols {
			want[int(id)*cols+c] += y[r*cols+c]
		}
	}
	dtable := make([]float64, vocab*cols)
	Fill(dtable, math.NaN())
	EmbeddingBackward(dtable, y, ids, vocab, cols)
	require.Equal(t, want, dtable, "every row is written")
	EmbeddingBackwardAdd(dtable, y, ids, vocab, cols)
	Scale(want, 2, want)
	requireClose(t, want, dtable, 1e-15, "the sum of both")
	require.Panics(t, func() { EmbeddingBackward(dtable, y, []int32{0, 1, 2, 3, 70}, vocab, cols) })
}
