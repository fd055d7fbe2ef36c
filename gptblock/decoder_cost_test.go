package gptblock

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
)

// counted counts what goes through the network.
type counted struct {
	decoding
	runs, rows int
}

func (c *counted) run(ids []int32, spans []span, logits [][]float64, few bool) {
	c.runs++
	c.rows += len(ids)
	c.decoding.run(ids, spans, logits, few)
}

func costModel(t *testing.T, experts int, windows ...int) *Model {
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	c := Config{
		Vocab: 5000, Context: 1000, Layers: 2, Channels: 64, Heads: 4, KVHeads: 2, Windows: windows,
		Layout: LayoutLlama, Block: BlockPreNorm, Norm: NormRMS, NormEps: 1e-5, Activation: SwiGLU, Position: PositionRoPE,
	}
	if experts > 0 {
		c.Experts, c.TopK, c.Router = experts, 2, RouterTopKSoftmax
	}
	m, err := New(ps, c)
	require.NoError(t, err)
	return m
}

// A token is one row for every layer, whatever came before; a prompt is as many
// rows as it has tokens, in pieces of bounded size.
func TestDecoderComputesNewTokensOnly(t *testing.T) {
	d, err := NewDecoder(costModel(t, 4), 2)
	require.NoError(t, err)
	count := &counted{decoding: d.net}
	d.net = count
	prompt := make([]int32, 2*decodeChunk+5)
	require.NoError(t, d.Append([][]int32{prompt, prompt[:decodeChunk+1]}))
	require.Equal(t, 4, count.runs, "256 of both, 256 of the first, the last one of the second, the last 5 of the first")
	require.Equal(t, 3*decodeChunk+6, count.rows)
	for range 20 {
		count.runs, count.rows = 0, 0
		require.NoError(t, d.Append([][]int32{{1}, {2}}))
		require.Equal(t, 1, count.runs)
		require.Equal(t, 2, count.rows)
	}
	count.runs = 0
	require.NoError(t, d.Append([][]int32{nil, nil}))
	require.Zero(t, count.runs)
}

// The keys of a layer with a window take memory, and attention looks, no
// further than some two windows back.
func TestDecoderCacheIsBoundedByTheWindow(t *testing.T) {
	const window = 16
	d, err := NewDecoder(costModel(t, 0, window, 0), 1)
	require.NoError(t, err)
	blocks := d.net.(*network[float32]).blocks
	require.Equal(t, 2*window+decodeChunk, blocks[0].attn.cache.rows)
	require.Equal(t, 1000, blocks[1].attn.cache.rows)
	require.Equal(t, 1000, newKeyCache[float32](1, 1000, 900, 1).rows, "never more than the context")
	for past := range 1000 {
		c := &blocks[0].attn.cache
		row := c.place(0, past, 1)
		require.Less(t, row, c.rows)
		require.GreaterOrEqual(t, row, min(past, window-1), "the keys that are seen are kept")
	}
}

func TestDecoderAllocatesNothingThatGrows(t *testing.T) {
	for _, experts := range []int{0, 4} {
		d, err := NewDecoder(costModel(t, experts), 2)
		require.NoError(t, err)
		next := [][]int32{{1}, {2}}
		measure := func() (allocs float64, bytes uint64) {
			const tokens = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			allocs = testing.AllocsPerRun(tokens, func() {
				if err := d.Append(next); err != nil {
					t.Fatal(err)
				}
			})
			runtime.ReadMemStats(&after)
			return allocs, (after.TotalAlloc - before.TotalAlloc) / (tokens + 1)
		}
		measure() // warm up
		allocs, bytes := measure()
		require.Less(t, bytes, uint64(20_000), "one row of logits has 40 kB")
		prompt := make([]int32, 600)
		require.NoError(t, d.Append([][]int32{prompt, prompt}))
		later, bytes := measure()
		require.Less(t, bytes, uint64(20_000))
		if experts == 0 { // else it is up to the router how many products there are
			require.Equal(t, allocs, later)
		}
	}
}
