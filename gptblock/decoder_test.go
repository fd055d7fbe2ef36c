package gptblock_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

// fullLogits are the logits of a model on a graph, for tokens (B,T) of equal
// lengths: by sequence and position.
func fullLogits(t *testing.T, ps *graph.Params, c gptblock.Config, tokens [][]int32) [][][]float64 {
	t.Helper()
	shared, err := ps.Share(gorgonia.NewGraph())
	require.NoError(t, err)
	m, err := gptblock.New(shared, c.Eval())
	require.NoError(t, err)
	B, T := len(tokens), len(tokens[0])
	ids := gorgonia.NewMatrix(shared.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("ids"))
	logits, err := m.Logits(ids)
	require.NoError(t, err)
	cost, err := gorgonia.Sum(logits)
	require.NoError(t, err)
	prog, err := graph.Compile(cost, shared, graph.ForwardOnly(), graph.Keep(logits))
	require.NoError(t, err)
	defer prog.Close()
	var feed []int32
	for _, row := range tokens {
		feed = append(feed, row...)
	}
	_, err = prog.Eval(context.Background(), graph.Feed{ids: feed})
	require.NoError(t, err)
	all := float64s(prog.Value(logits))
	out := make([][][]float64, B)
	for b := range out {
		for i := range T {
			out[b] = append(out[b], all[(b*T+i)*c.Vocab:][:c.Vocab])
		}
	}
	return out
}

// requireDecoded appends tokens to a decoder in chunks, sequence b in chunks of
// chunk(b) tokens, and compares the logits after each with want.
func requireDecoded(t *testing.T, how string, d *gptblock.Decoder, tokens [][]int32, want [][][]float64, chunk func(b int) int, tol float64) {
	t.Helper()
	for {
		piece, more := make([][]int32, len(tokens)), false
		for b, ids := range tokens {
			at := d.Len(b)
			piece[b] = ids[at:min(at+chunk(b), len(ids))]
			more = more || len(piece[b]) > 0
		}
		if !more {
			return
		}
		require.NoError(t, d.Append(piece))
		for b := range tokens {
			if n := d.Len(b); n > 0 {
				require.LessOrEqual(t, golden.RelErr(d.Logits(b), want[b][n-1]), tol, "%s: sequence %d after %d tokens", how, b, n)
			}
		}
	}
}

var chunkings = map[string]func(b int) int{
	"token by token":  func(int) int { return 1 },
	"in threes":       func(int) int { return 3 },
	"at once":         func(int) int { return math.MaxInt32 },
	"of each its own": func(b int) int { return 1 + 2*b },
}

func TestDecoderEqualsFullRecomputation(t *testing.T) {
	for _, name := range modelGoldens {
		for dtype, tol := range map[tensor.Dtype]float64{tensor.Float64: 1e-12, tensor.Float32: 2e-5} {
			t.Run(fmt.Sprintf("%s/%v", name, dtype), func(t *testing.T) {
				m := newGoldenModel(t, name, dtype)
				var tokens [][]int32
				var torch [][][]float64
				for b, row := range m.file.Tensor(t, "logits").Rows() { // (B,T,V)
					tokens = append(tokens, m.file.Tensor(t, "ids").Rows()[0].Rows()[b].I32)
					torch = append(torch, nil)
					for _, logits := range row.Rows() {
						torch[b] = append(torch[b], logits.Float64())
					}
				}
				for _, want := range [][][][]float64{torch, fullLogits(t, m.params, m.model.Config, tokens)} {
					for how, chunk := range chunkings {
						d, err := gptblock.NewDecoder(m.model, len(tokens))
						require.NoError(t, err)
						requireDecoded(t, how, d, tokens, want, chunk, tol)
					}
				}
			})
		}
	}
}

// decoderModel is a small model with large random weights.
func decoderModel(t testing.TB, c gptblock.Config, opts ...graph.ParamsOption) (*gptblock.Model, *graph.Params) {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph(), opts...)
	require.NoError(t, err)
	m, err := gptblock.New(ps, c)
	require.NoError(t, err)
	return m, ps
}

func randomTokens(seed uint64, vocab int, lengths ...int) [][]int32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([][]int32, len(lengths))
	for b, n := range lengths {
		out[b] = make([]int32, n)
		for i := range out[b] {
			out[b][i] = int32(rng.IntN(vocab))
		}
	}
	return out
}

// Contexts longer than a chunk of the decoder, windows that the cache slides,
// and layers of both kinds with padding.
func TestDecoderLongSequences(t *testing.T) {
	pad := 3
	base := gptblock.Config{
		Vocab: 17, Context: 700, Layers: 2, Channels: 16, Heads: 4, KVHeads: 2,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, Init: gptblock.Init{Std: 0.3},
	}
	for name, change := range map[string]func(*gptblock.Config){
		"full":        func(*gptblock.Config) {},
		"window":      func(c *gptblock.Config) { c.Windows = []int{20} },
		"window of 1": func(c *gptblock.Config) { c.Windows = []int{1} },
		"alternating": func(c *gptblock.Config) { c.Windows = []int{0, 33} },
		"padding":     func(c *gptblock.Config) { c.Windows, c.PadToken = []int{0, 33}, &pad },
		"bias": func(c *gptblock.Config) {
			c.Bias, c.Activation = true, gptblock.GELUErf
			c.Position, c.LogitScale, c.LogitSoftCap = gptblock.PositionLearned, 0.5, 4
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := base
			change(&c)
			m, ps := decoderModel(t, c, graph.WithDtype(tensor.Float64))
			tokens := randomTokens(1, c.Vocab, 690, 690)
			want := fullLogits(t, ps, c, tokens)
			for how, chunk := range map[string]func(int) int{
				"at once":        func(int) int { return math.MaxInt32 },
				"token by token": func(int) int { return 1 },
				"in chunks":      func(b int) int { return 37 + 300*b },
			} {
				d, err := gptblock.NewDecoder(m, 2)
				require.NoError(t, err)
				requireDecoded(t, how, d, tokens, want, chunk, 1e-12)
			}
		})
	}
}

func TestDecoderSequencesAreIndependent(t *testing.T) {
	for _, name := range []string{"gpt2-wide", "llama2-wide", "mixtral", "grok-1-pad"} {
		m := newGoldenModel(t, name, tensor.Float32).model
		T, V := m.Config.Context, m.Config.Vocab
		tokens := randomTokens(2, V, T, 1, T/2, 0)
		together, err := gptblock.NewDecoder(m, len(tokens))
		require.NoError(t, err)
		require.NoError(t, together.Append(tokens))
		alone, err := gptblock.NewDecoder(m, 1)
		require.NoError(t, err)
		for b, ids := range tokens {
			alone.Reset(0)
			require.Equal(t, 0, alone.Len(0))
			require.NoError(t, alone.Append([][]int32{ids}))
			require.Equal(t, alone.Logits(0), together.Logits(b), "%s: sequence %d, to the bit", name, b)
		}
		// A further token of some, and a sequence that begins anew.
		together.Reset(0)
		require.NoError(t, together.Append([][]int32{{1, 2}, {3}, nil, nil}))
		alone.Reset(0)
		require.NoError(t, alone.Append([][]int32{{1, 2}}))
		require.Equal(t, alone.Logits(0), together.Logits(0))
		alone.Reset(0)
		require.NoError(t, alone.Append([][]int32{tokens[1]}))
		require.NoError(t, alone.Append([][]int32{{3}}))
		require.Equal(t, alone.Logits(0), together.Logits(1))
	}
}

// Beyond SmallBatch single tokens go through the general product: the same up
// to rounding, and still independent of one another.
func TestDecoderLargeBatch(t *testing.T) {
	m := newGoldenModel(t, "mixtral", tensor.Float64)
	V := m.model.Config.Vocab
	large, err := gptblock.NewDecoder(m.model, gptblock.SmallBatch+1)
	require.NoError(t, err)
	small, err := gptblock.NewDecoder(m.model, 1)
	require.NoError(t, err)
	tokens := randomTokens(4, V, 3, 1, 3, 1, 2)
	require.NoError(t, large.Append(tokens))
	next := randomTokens(5, V, 1, 1, 1, 1, 1)
	require.NoError(t, large.Append(next))
	for b := range tokens {
		small.Reset(0)
		require.NoError(t, small.Append(tokens[b:b+1]))
		require.NoError(t, small.Append(next[b:b+1]))
		require.LessOrEqual(t, golden.RelErr(large.Logits(b), small.Logits(0)), 1e-12)
	}
	got := append([]float64(nil), large.Logits(3)...)
	large.Reset(3)
	alone := make([][]int32, large.Batch())
	alone[3] = tokens[3]
	require.NoError(t, large.Append(alone))
	alone[3] = next[3]
	require.NoError(t, large.Append(alone))
	require.Equal(t, got, large.Logits(3), "to the bit")
}

func TestDecoderIsBitEqualForAnyThreads(t *testing.T) {
	m := newGoldenModel(t, "mixtral", tensor.Float32).model
	tokens := randomTokens(3, m.Config.Vocab, m.Config.Context-1, 2)
	var want [][]float64
	for _, procs := range []int{1, 2, 5} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		d, err := gptblock.NewDecoder(m, 2)
		require.NoError(t, err)
		require.NoError(t, d.Append(tokens))
		require.NoError(t, d.Append([][]int32{{1}, {2}}))
		got := [][]float64{d.Logits(0), d.Logits(1)}
		if want == nil {
			want = got
		}
		require.Equal(t, want, got)
	}
}

func TestDecoderSeesUpdates(t *testing.T) {
	c := gptblock.Config{
		Vocab: 11, Context: 8, Layers: 1, Channels: 8, Heads: 2,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
	}
	m, ps := decoderModel(t, c, graph.WithDtype(tensor.Float64))
	d, err := gptblock.NewDecoder(m, 1)
	require.NoError(t, err)
	tokens := [][]int32{{1, 5, 2}}
	require.NoError(t, d.Append(tokens))
	before := append([]float64(nil), d.Logits(0)...)
	for _, p := range ps.All() {
		_, w, err := graph.Floats(p.Value())
		require.NoError(t, err)
		for i := range w {
			w[i] += 0.1 * math.Sin(float64(i))
		}
	}
	d.Reset(0)
	require.NoError(t, d.Append(tokens))
	require.NotEqual(t, before, d.Logits(0))
	require.LessOrEqual(t, golden.RelErr(d.Logits(0), fullLogits(t, ps, c, tokens)[0][2]), 1e-12)
}

func TestDecoderRefuses(t *testing.T) {
	described, err := graph.NewParams(nil)
	require.NoError(t, err)
	c := newGoldenModel(t, "llama", tensor.Float32).model.Config
	m, err := gptblock.New(described, c)
	require.NoError(t, err)
	_, err = gptblock.NewDecoder(m, 1)
	require.ErrorContains(t, err, "only described")
	_, err = gptblock.NewDecoder(nil, 1)
	require.ErrorContains(t, err, "needs a model")

	m = newGoldenModel(t, "llama", tensor.Float32).model
	_, err = gptblock.NewDecoder(m, 0)
	require.ErrorContains(t, err, "batch = 0, want at least 1")
	d, err := gptblock.NewDecoder(m, 2)
	require.NoError(t, err)
	require.Equal(t, 2, d.Batch())
	require.Equal(t, c.Context, d.Context())
	require.Equal(t, c.Vocab, d.Vocab())
	require.NoError(t, d.Append([][]int32{{1}, {2, 3}}))
	logits := append([]float64(nil), d.Logits(1)...)
	require.ErrorContains(t, d.Append([][]int32{{1}}), "tokens of 1 sequences, want 2")
	require.EqualError(t, d.Append([][]int32{{1}, {0, int32(c.Vocab)}}),
		fmt.Sprintf("gptblock: token 1 for sequence 1 = %d, want 0 <= token < %d, the vocabulary", c.Vocab, c.Vocab))
	require.ErrorContains(t, d.Append([][]int32{{-1}, nil}), "token 0 for sequence 0 = -1")
	var full *gptblock.ContextError
	require.ErrorAs(t, d.Append([][]int32{{1}, make([]int32, c.Context-1)}), &full)
	require.Equal(t, gptblock.ContextError{Sequence: 1, Len: 2, New: c.Context - 1, Context: c.Context}, *full)
	require.EqualError(t, full, fmt.Sprintf("gptblock: sequence 1 has 2 tokens and gets %d more, want at most %d, the context", c.Context-1, c.Context))
	require.Equal(t, []int{1, 2}, []int{d.Len(0), d.Len(1)}, "nothing has changed")
	require.Equal(t, logits, d.Logits(1))
	require.NoError(t, d.Append([][]int32{nil, make([]int32, c.Context-2)}), "up to the context")
	d.Reset(1)
	require.Equal(t, make([]float64, c.Vocab), d.Logits(1))
}
