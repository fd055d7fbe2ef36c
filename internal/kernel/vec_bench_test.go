package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/internal/machine"
)

// The kernels against the bandwidth of a copy. Bytes are those that a kernel
// must at least read and write.

func benchBytes(b *testing.B, name string, n, bytesPerElement int, f func()) {
	b.Run(fmt.Sprintf("%s/n=%.0e", name, float64(n)), func(b *testing.B) {
		f() // touch the pages
		b.SetBytes(int64(n * bytesPerElement))
		for b.Loop() {
			f()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
	})
}

// wave is n numbers between -3 and 3.
func wave(n int, frequency float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(3 * math.Sin(frequency*float64(i)))
	}
	return x
}

func BenchmarkAdamW(b *testing.B) {
	p := kernel.AdamWParams{Decay: 0.999, Beta1: 0.9, Beta2: 0.95, GradScale: 1, StepSize: 1e-3, InvSqrtBC2: 1, Eps: 1e-8}
	for _, n := range []int{1e6, 1e7, 124e6} {
		w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		kernel.Fill(g, 0.01)
		benchBytes(b, "AdamW", n, 28, func() { kernel.AdamW(w, g, m, v, nil, p) })
		benchBytes(b, "SumSquares", n, 4, func() { kernel.SumSquares(g) })
		benchBytes(b, "StreamCopy", n, 8, func() { machine.StreamCopy(w, g) })
		benchBytes(b, "Add", n, 12, func() { kernel.Add(w, g, m) })
	}
}

// BenchmarkVec has the shapes of a step of GPT-2 124M on 1024 tokens.
func BenchmarkVec(b *testing.B) {
	const rows, channels, vocab = 1024, 768, 50257
	const hidden = 4 * channels
	x, y, dy := wave(rows*hidden, 1), make([]float32, rows*hidden), wave(rows*hidden, 2)
	bias, gain := wave(hidden, 3), wave(hidden, 4)
	mean, rstd, grads := make([]float32, rows), make([]float32, rows), make([]float32, hidden)

	benchBytes(b, "GELUTanh", rows*hidden, 8, func() { kernel.GELUTanh(y, x) })
	benchBytes(b, "GELUTanhBackward", rows*hidden, 12, func() { kernel.GELUTanhBackward(y, x, dy) })
	benchBytes(b, "GELUErf", rows*hidden, 8, func() { kernel.GELUErf(y, x) })
	benchBytes(b, "SwiGLU", rows*hidden, 12, func() { kernel.SwiGLU(y, x, dy) })
	benchBytes(b, "Exp", rows*hidden, 8, func() { kernel.Exp(y, x) })
	benchBytes(b, "Dropout", rows*hidden, 8, func() { kernel.Dropout(y, x, 0.1, [2]uint32{1, 2}, [2]uint32{3, 4}) })
	benchBytes(b, "AddBias", rows*hidden, 8, func() { kernel.AddBias(y, bias, rows, hidden) })
	benchBytes(b, "SumRows", rows*hidden, 4, func() { kernel.SumRows(grads, dy, rows, hidden) })
	benchBytes(b, "LayerNorm", rows*channels, 8, func() {
		kernel.LayerNorm(y, mean, rstd, x, gain, bias, rows, channels, 1e-5)
	})
	benchBytes(b, "LayerNormBackward", rows*channels, 12, func() {
		kernel.LayerNormBackward(y, grads[:channels], grads[channels:2*channels], nil, dy, x, gain, mean, rstd, rows, channels)
	})

	const chunk = 256
	logits, dlogits, targets := wave(chunk*vocab, 5), make([]float32, chunk*vocab), make([]int32, chunk)
	ce := kernel.CrossEntropy[float32]{Rows: chunk, Vocab: vocab, Ignore: -1, Scale: 1. / chunk}
	benchBytes(b, "CrossEntropy", chunk*vocab, 4, func() { ce.Forward(mean, rstd, logits, targets) })
	benchBytes(b, "CrossEntropyBoth", chunk*vocab, 8, func() { ce.ForwardBackward(mean, rstd, dlogits, logits, targets) })
	benchBytes(b, "StreamCopy", chunk*vocab, 8, func() { machine.StreamCopy(dlogits, logits) })
}
