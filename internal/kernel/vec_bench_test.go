package kernel

import (
	"fmt"
	"testing"
)

// The loops against the bandwidth of a copy: bytes are those that a kernel
// must at least read and write.

var benchSink float64

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

func BenchmarkAdamW(b *testing.B) {
	for _, n := range []int{1e6, 1e7, 124e6} {
		w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		Fill(g, 0.01)
		benchBytes(b, "AdamW", n, 28, func() { AdamW(w, g, m, v, nil, adamWStep(3)) })
		benchBytes(b, "SumSquares", n, 4, func() { benchSink = SumSquares(g) })
		benchBytes(b, "StreamCopy", n, 8, func() { StreamCopy(w, g) })
		benchBytes(b, "Add", n, 12, func() { Add(w, g, m) })
	}
}

// BenchmarkRows has the shapes of a step of GPT-2 124M on 1024 tokens.
func BenchmarkRows(b *testing.B) {
	const rows, channels, vocab = 1024, 768, 50257
	const hidden = 4 * channels
	x, y, dy := make([]float32, rows*hidden), make([]float32, rows*hidden), make([]float32, rows*hidden)
	copy(x, randn[float32](len(x), 1, 1))
	copy(dy, randn[float32](len(x), 1, 2))
	bias, gain := randn[float32](hidden, 1, 3), randn[float32](hidden, 1, 4)
	mean, rstd, grads := make([]float32, rows), make([]float32, rows), make([]float32, 2*hidden)

	benchBytes(b, "GELUTanh", rows*hidden, 8, func() { GELUTanh(y, x) })
	benchBytes(b, "GELUTanhBackward", rows*hidden, 12, func() { GELUTanhBackward(y, x, dy) })
	benchBytes(b, "GELUErf", rows*hidden, 8, func() { GELUErf(y, x) })
	benchBytes(b, "BiasGELUTanh", rows*hidden, 8, func() { BiasGELUTanh(y, x, bias, rows, hidden) })
	benchBytes(b, "BiasGELUTanhBackward", rows*hidden, 12, func() {
		BiasGELUTanhBackward(y, grads[:hidden], x, bias, dy, rows, hidden)
	})
	benchBytes(b, "SwiGLU", rows*hidden, 12, func() { SwiGLU(y, x, dy) })
	benchBytes(b, "Exp", rows*hidden, 8, func() { Exp(y, x) })
	benchBytes(b, "Dropout", rows*hidden, 8, func() { Dropout(y, x, 0.1, [2]uint32{1, 2}, [2]uint32{3, 4}) })
	benchBytes(b, "AddBias", rows*hidden, 8, func() { AddBias(y, bias, rows, hidden) })
	benchBytes(b, "SumRows", rows*hidden, 4, func() { SumRows(grads[:hidden], dy, rows, hidden) })
	benchBytes(b, "LayerNorm", rows*channels, 8, func() {
		LayerNorm(y, mean, rstd, x, gain, bias, rows, channels, 1e-5)
	})
	benchBytes(b, "LayerNormBackward", rows*channels, 12, func() {
		LayerNormBackward(y, grads[:channels], grads[channels:2*channels], dy, x, gain, mean, rstd, rows, channels)
	})

	const chunk = 256
	logits, targets := make([]float32, chunk*vocab), make([]int32, chunk)
	copy(logits, randn[float32](len(logits), 1, 5))
	dlogits := make([]float32, chunk*vocab)
	ce := CrossEntropy[float32]{Rows: chunk, Vocab: vocab, Ignore: -1, Scale: 1. / chunk}
	benchBytes(b, "CrossEntropy", chunk*vocab, 4, func() { ce.Forward(mean, rstd, logits, targets) })
	benchBytes(b, "CrossEntropyBoth", chunk*vocab, 8, func() { ce.ForwardBackward(mean, rstd, dlogits, logits, targets) })
	benchBytes(b, "StreamCopy", chunk*vocab, 8, func() { StreamCopy(dlogits, logits) })
}
