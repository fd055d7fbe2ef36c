package gptblock_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/gptblock"
)

// BenchmarkDecoder is one further token for each sequence of a batch, in a
// model as wide as GPT-2 124M with two layers, by both storages of weights.
func BenchmarkDecoder(b *testing.B) {
	for _, layout := range []gptblock.Layout{gptblock.LayoutGPT2, gptblock.LayoutLlama} {
		for _, batch := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/batch %d", layout, batch), func(b *testing.B) {
				m, _ := decoderModel(b, gptblock.Config{
					Vocab: 50257, Context: 1024, Layers: 2, Channels: 768, Heads: 12,
					Layout: layout, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormEps: 1e-5,
					Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
				})
				d, err := gptblock.NewDecoder(m, batch)
				require.NoError(b, err)
				next := randomTokens(1, 50257, make([]int, batch)...)
				for i := range next {
					next[i] = []int32{int32(i)}
				}
				require.NoError(b, d.Append(next))
				b.ReportAllocs()
				for b.Loop() {
					if d.Len(0) == d.Context() {
						for i := range batch {
							d.Reset(i)
						}
					}
					if err := d.Append(next); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
