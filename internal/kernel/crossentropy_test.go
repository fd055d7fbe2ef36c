package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCrossEntropyGradient(t *testing.T) { eachImpl(t, testCrossEntropyGradient) }

func testCrossEntropyGradient(t *testing.T) {
	ce := CrossEntropy[float64]{Rows: 4, Vocab: 9, Ignore: -1, ZLoss: 0.3, Scale: 0.25}
	logits := randn[float64](ce.Rows*ce.Vocab, 3, 1)
	targets := []int32{8, -1, 0, 4}
	loss, lse := make([]float64, ce.Rows), make([]float64, ce.Rows)
	total := func() float64 {
		ce.Forward(loss, lse, logits, targets)
		return ce.Scale * (loss[0] + loss[1] + loss[2] + loss[3])
	}
	want := numericalGrad(logits, total)

	total()
	dlogits := make([]float64, len(logits))
	ce.Backward(dlogits, logits, lse, targets)
	requireClose(t, want, dlogits, 1e-8, "dlogits")
	require.Zero(t, loss[1], "an ignored row has no loss")

	var sum float64
	for _, v := range logits[2*ce.Vocab : 3*ce.Vocab] {
		sum += math.Exp(v)
	}
	require.InDelta(t, math.Log(sum), lse[2], 1e-14)
	require.InDelta(t, lse[2]-logits[2*ce.Vocab]+0.3*lse[2]*lse[2], loss[2], 1e-13)
}

func TestCrossEntropyEachVocab(t *testing.T) { eachImpl(t, testCrossEntropyEachVocab) }

func testCrossEntropyEachVocab(t *testing.T) {
	check := func(rows, vocab int) {
		ce := CrossEntropy[float32]{Rows: rows, Vocab: vocab, Ignore: -100, Scale: 1}
		ref := CrossEntropy[float64]{Rows: rows, Vocab: vocab, Ignore: -100, Scale: 1}
		logits := randn[float32](rows*vocab, 5, 1)
		for i := range logits {
			logits[i] += 30
		}
		targets := make([]int32, rows)
		for r := range targets {
			targets[r] = int32((r*7919 + 3) % vocab)
		}
		loss, lse := make([]float32, rows), make([]float32, rows)
		loss64, lse64, d64 := make([]float64, rows), make([]float64, rows), make([]float64, rows*vocab)
		dlogits, intact := fenced[float32](rows * vocab)
		ce.Forward(loss, lse, logits, targets)
		ce.Backward(dlogits, logits, lse, targets)
		require.True(t, intact(), "vocab %d", vocab)
		ref.Forward(loss64, lse64, widen(logits), targets)
		ref.Backward(d64, widen(logits), lse64, targets)
		requireClose(t, lse64, lse, 2e-7, "lse, vocab %d", vocab)
		for r := range loss { // loss = lse - x: relative to those terms
			require.InDelta(t, loss64[r], loss[r], 1e-5, "loss, vocab %d", vocab)
		}
		requireClose(t, d64, dlogits, 1e-5, "dlogits, vocab %d", vocab)

		loss2, lse2 := make([]float32, rows), make([]float32, rows)
		ce.ForwardBackward(loss2, lse2, logits, logits, targets)
		require.Equal(t, loss, loss2)
		require.Equal(t, lse, lse2)
		require.Equal(t, dlogits, logits, "in one pass, in place")
	}
	for vocab := 1; vocab < 258; vocab++ {
		check(3, vocab)
	}
	check(5, 50257)
	check(300, 65)
}

func TestCrossEntropySpecialValues(t *testing.T) { eachImpl(t, testCrossEntropySpecialValues) }

func testCrossEntropySpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	ce := CrossEntropy[float32]{Rows: 4, Vocab: 3, Ignore: -1, Scale: 1}
	logits := []float32{
		-inf, 1, 2, // a masked token
		1, nan, 2,
		1, inf, 2,
		-3e38, 3e38, 0,
	}
	loss, lse := make([]float32, 4), make([]float32, 4)
	ce.ForwardBackward(loss, lse, logits, logits, []int32{1, 0, 0, 1})
	require.InDelta(t, math.Log(math.E+math.E*math.E)-1, loss[0], 1e-6)
	require.Zero(t, logits[0])
	require.True(t, loss[1] != loss[1] && loss[2] != loss[2], "NaN and Inf reach the loss")
	require.Zero(t, loss[3])
	require.Equal(t, 3, FirstNonFinite(logits))
	require.Equal(t, []float32{0, 0, 0}, logits[9:])
}

func TestCrossEntropyRefusesTargetOutside(t *testing.T) {
	eachImpl(t, testCrossEntropyRefusesTargetOutside)
}

func testCrossEntropyRefusesTargetOutside(t *testing.T) {
	ce := CrossEntropy[float32]{Rows: 1, Vocab: 3, Ignore: -1}
	one := make([]float32, 1)
	require.Panics(t, func() { ce.Forward(one, one, make([]float32, 3), []int32{3}) })
	require.Panics(t, func() { ce.Forward(one, one, make([]float32, 3), []int32{-2}) })
}

func TestSoftmax(t *testing.T) { eachImpl(t, testSoftmax) }

func testSoftmax(t *testing.T) {
	const rows = 3
	for cols := 1; cols < 258; cols++ {
		x := randn[float32](rows*cols, 4, 2)
		y, intact := fenced[float32](rows * cols)
		Softmax(y, x, rows, cols)
		require.True(t, intact())
		want := widen(x)
		for r := range rows {
			var sum float64
			for _, v := range row(want, r, cols) {
				sum += math.Exp(v)
			}
			for c := range cols {
				want[r*cols+c] = math.Exp(want[r*cols+c]) / sum
			}
		}
		for i, v := range y { // the bound that Softmax states
			in := row(x, i/cols, cols)
			fall := float64(slices.Max(in) - x[i])
			require.LessOrEqual(t, math.Abs(float64(v)-want[i]), (16+fall)*want[i]/(1<<24), "cols %d", cols)
		}
	}
}
