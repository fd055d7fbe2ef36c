package sample_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/sample"
)

// script is a Decoder whose next token follows from the last one and the
// position alone: it shows what it was given.
type script struct {
	batch, context int
	next           func(token int32, position int) int32
	held           [][]int32
	longest        int // tokens of one Append to a sequence
}

const scriptVocab = 100

func newScript(batch, context int, next func(int32, int) int32) *script {
	return &script{batch: batch, context: context, next: next, held: make([][]int32, batch)}
}

func (s *script) Batch() int    { return s.batch }
func (s *script) Context() int  { return s.context }
func (s *script) Vocab() int    { return scriptVocab }
func (s *script) Len(b int) int { return len(s.held[b]) }
func (s *script) Reset(b int)   { s.held[b] = nil }

func (s *script) Append(tokens [][]int32) error {
	for b, ids := range tokens {
		s.held[b] = append(s.held[b], ids...)
		s.longest = max(s.longest, len(ids))
		if len(s.held[b]) > s.context {
			return errors.New("beyond the context")
		}
	}
	return nil
}

func (s *script) Logits(b int) []float64 {
	logits := make([]float64, scriptVocab)
	n := len(s.held[b])
	logits[s.next(s.held[b][n-1], n)] = 1
	return logits
}

func count(token int32, _ int) int32 { return (token + 1) % scriptVocab }

func generate(t *testing.T, d sample.Decoder, prompts [][]int32, o sample.Options) []sample.Sequence {
	t.Helper()
	out, err := sample.Generate(context.Background(), d, prompts, o, nil)
	require.NoError(t, err)
	return out
}

func TestReasonsToEnd(t *testing.T) {
	circle := func(token int32, position int) int32 {
		if position < 4 {
			return token + 10
		}
		return (token-1)/3*3 + token%3 + 1 // ... 31 32 33 31 32 33
	}
	for name, c := range map[string]struct {
		next   func(int32, int) int32
		prompt []int32
		o      sample.Options
		want   []int32
		reason sample.Reason
	}{
		"as many as wanted":      {count, []int32{3, 4}, sample.Options{MaxNew: 3}, []int32{5, 6, 7}, sample.MaxTokens},
		"stop token":             {count, []int32{3, 4}, sample.Options{MaxNew: 30, Stop: []int32{50, 7}}, []int32{5, 6}, sample.StopToken},
		"stop at once":           {count, []int32{3, 4}, sample.Options{MaxNew: 30, Stop: []int32{5}}, nil, sample.StopToken},
		"full context":           {count, []int32{3, 4}, sample.Options{MaxNew: 30}, []int32{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, sample.ContextFull},
		"prompt fills it":        {count, make([]int32, 12), sample.Options{MaxNew: 30}, []int32{1}, sample.ContextFull},
		"circle":                 {circle, []int32{1}, sample.Options{MaxNew: 10, Repeat: sample.Repeat{Length: 3, Times: 2}}, []int32{11, 21, 31, 32, 33, 31, 32, 33}, sample.Repetition},
		"circle of 3 is no 2":    {circle, []int32{1}, sample.Options{MaxNew: 9, Repeat: sample.Repeat{Length: 2, Times: 2}}, []int32{11, 21, 31, 32, 33, 31, 32, 33, 31}, sample.MaxTokens},
		"the prompt is no part":  {func(t int32, _ int) int32 { return t }, []int32{5, 5, 5}, sample.Options{MaxNew: 9, Repeat: sample.Repeat{Length: 1, Times: 3}}, []int32{5, 5, 5}, sample.Repetition},
		"divisors are found too": {func(t int32, _ int) int32 { return t }, []int32{5}, sample.Options{MaxNew: 9, Repeat: sample.Repeat{Length: 2, Times: 2}}, []int32{5, 5, 5, 5}, sample.Repetition},
	} {
		t.Run(name, func(t *testing.T) {
			out := generate(t, newScript(1, 12, c.next), [][]int32{c.prompt}, c.o)
			require.Equal(t, []sample.Sequence{{Tokens: c.want, Reason: c.reason}}, out)
		})
	}
}

func TestSlide(t *testing.T) {
	d := newScript(1, 6, count)
	out := generate(t, d, [][]int32{{0, 1, 2, 3}}, sample.Options{MaxNew: 20, Full: sample.SlideFull})
	var want []int32
	for i := range 20 {
		want = append(want, int32(4+i))
	}
	require.Equal(t, want, out[0].Tokens)
	require.Equal(t, sample.MaxTokens, out[0].Reason)
	require.Equal(t, 4, d.longest, "the prompt; later half a context, 3")

	// Positions begin anew: the context fills at 6 tokens, then holds 3, 4, 5, 6, 3, ...
	var lengths []int
	d = newScript(1, 6, func(_ int32, n int) int32 { lengths = append(lengths, n); return 1 })
	generate(t, d, [][]int32{{0, 1, 2, 3}}, sample.Options{MaxNew: 8, Full: sample.SlideFull})
	require.Equal(t, []int{4, 5, 6, 3, 4, 5, 6, 3}, lengths)

	// A prompt longer than the context.
	d = newScript(1, 6, count)
	out = generate(t, d, [][]int32{{0, 1, 2, 3, 4, 5, 6, 7}}, sample.Options{MaxNew: 2, Full: sample.SlideFull})
	require.Equal(t, []int32{8, 9}, out[0].Tokens)
	require.Equal(t, []int32{5, 6, 7, 8}, d.held[0])

	// A context of one token.
	out = generate(t, newScript(1, 1, count), [][]int32{{7}}, sample.Options{MaxNew: 3, Full: sample.SlideFull})
	require.Equal(t, []int32{8, 9, 10}, out[0].Tokens)
}

func TestMorePromptsThanSequences(t *testing.T) {
	prompts := [][]int32{{90}, {10}, {95, 96}, {40}, {50}}
	d := newScript(2, 50, count)
	type event struct {
		sequence int
		token    int32
	}
	var events []event
	out, err := sample.Generate(context.Background(), d, prompts, sample.Options{MaxNew: 4, Stop: []int32{98}}, func(i int, token int32) error {
		events = append(events, event{i, token})
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []sample.Sequence{
		{[]int32{91, 92, 93, 94}, sample.MaxTokens},
		{[]int32{11, 12, 13, 14}, sample.MaxTokens},
		{[]int32{97}, sample.StopToken},
		{[]int32{41, 42, 43, 44}, sample.MaxTokens},
		{[]int32{51, 52, 53, 54}, sample.MaxTokens},
	}, out)
	told := make([][]int32, len(prompts))
	for _, e := range events {
		told[e.sequence] = append(told[e.sequence], e.token)
	}
	for i := range out {
		require.Equal(t, out[i].Tokens, told[i])
	}
	require.Equal(t, []event{{0, 91}, {1, 11}, {0, 92}, {1, 12}}, events[:4], "as soon as they are chosen")
	require.Empty(t, generate(t, d, nil, sample.Options{MaxNew: 1}))
}

func TestGenerateStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d := newScript(1, 50, count)
	out, err := sample.Generate(ctx, d, [][]int32{{1}, {2}}, sample.Options{MaxNew: 40}, func(_ int, token int32) error {
		if token == 4 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []sample.Sequence{{Tokens: []int32{2, 3, 4}}, {}}, out, "what there is by then")

	broken := errors.New("pipe closed")
	out, err = sample.Generate(context.Background(), d, [][]int32{{1}}, sample.Options{MaxNew: 40}, func(int, int32) error { return broken })
	require.ErrorIs(t, err, broken)
	require.Equal(t, []int32{2}, out[0].Tokens)
}

func TestGenerateRefuses(t *testing.T) {
	d := newScript(2, 4, count)
	for text, c := range map[string]struct {
		prompts [][]int32
		o       sample.Options
	}{
		"sample: max_new = 0, want at least 1":                       {[][]int32{{1}}, sample.Options{}},
		"sample: prompt 1 is empty, want at least one token":         {[][]int32{{1}, {}}, sample.Options{MaxNew: 1}},
		"sample: prompt 0 has 5 tokens, want at most 4, the context": {[][]int32{{1, 2, 3, 4, 5}}, sample.Options{MaxNew: 1}},
		"sample: token 1 of prompt 0 = 100, want 0 <= token < 100":   {[][]int32{{1, 100}}, sample.Options{MaxNew: 1}},
		"sample: token 0 of prompt 0 = -1, want 0 <= token < 100":    {[][]int32{{-1}}, sample.Options{MaxNew: 1}},
		"sample: stop[0] = 100, want a token < 100, the vocabulary":  {[][]int32{{1}}, sample.Options{MaxNew: 1, Stop: []int32{100}}},
	} {
		_, err := sample.Generate(context.Background(), d, c.prompts, c.o, nil)
		require.ErrorContains(t, err, text)
	}
	bad := newScript(1, 4, func(int32, int) int32 { return 0 })
	_, err := sample.Generate(context.Background(), nanLogits{bad}, [][]int32{{1, 2}}, sample.Options{MaxNew: 1}, nil)
	require.ErrorIs(t, err, sample.ErrNoDistribution)
	require.ErrorContains(t, err, "sequence 0, position 2: sample: none of 0 logits")
}

type nanLogits struct{ *script }

func (nanLogits) Logits(int) []float64 { return nil }

// The text of a sequence does not depend on what else is generated: in small
// batches of any size, with all filters, sliding included.
func TestBatchesGiveTheSameTokensAsOneByOne(t *testing.T) {
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(5))
	require.NoError(t, err)
	m, err := gptblock.New(ps, gptblock.Config{
		Vocab: 50, Context: 24, Layers: 2, Channels: 48, Heads: 4, KVHeads: 2, Windows: []int{7, 0},
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, Init: gptblock.Init{Std: 0.2},
	})
	require.NoError(t, err)
	prompts := [][]int32{{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10, 11}, {12, 13}, {4}}
	o := sample.Options{MaxNew: 40, Temperature: 1.2, TopK: 20, TopP: 0.95, Seed: 9, Stop: []int32{0}, Full: sample.SlideFull}
	var want []sample.Sequence
	for _, batch := range []int{1, 2, 3, gptblock.SmallBatch} {
		d, err := gptblock.NewDecoder(m, batch)
		require.NoError(t, err)
		got := generate(t, d, prompts, o)
		if want == nil {
			want = got
		}
		require.Equal(t, want, got, "batch %d", batch)
		require.Equal(t, want, generate(t, d, prompts, o), "again, with the same decoder")
	}
	require.NotEqual(t, want[1].Tokens, want[4].Tokens, "the same prompt twice is two samples")
	o.Seed++
	d, err := gptblock.NewDecoder(m, 1)
	require.NoError(t, err)
	require.NotEqual(t, want, generate(t, d, prompts, o))

	// Going on from a longer prompt draws what the first run would have drawn.
	o = sample.Options{MaxNew: 10, Temperature: 1}
	whole := generate(t, d, prompts[:1], o)[0].Tokens
	o.MaxNew = 6
	rest := generate(t, d, [][]int32{append([]int32{1, 2, 3}, whole[:4]...)}, o)[0].Tokens
	require.Equal(t, whole[4:], rest)
}
