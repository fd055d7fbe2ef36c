package sample

import (
	"context"
	"slices"

	"github.com/pkg/errors"
)

// Decoder gives the logits of what follows a batch of sequences.
// *gptblock.Decoder is one.
type Decoder interface {
	Batch() int   // sequences at a time
	Context() int // largest number of tokens of a sequence
	Vocab() int   // number of logits
	// Append adds tokens[b] to sequence b; empty ones change nothing.
	Append(tokens [][]int32) error
	// Len is the number of tokens of a sequence.
	Len(sequence int) int
	// Logits are those of the token after the last of a sequence (V).
	Logits(sequence int) []float64
	// Reset forgets the tokens of a sequence.
	Reset(sequence int)
}

// Reason tells why a sequence ended.
type Reason string

// The reasons. A sequence that did not end, because Generate was stopped, has
// none.
const (
	MaxTokens   Reason = "max_tokens"   // it has Options.MaxNew tokens
	StopToken   Reason = "stop_token"   // one of Options.Stop was chosen
	Repetition  Reason = "repetition"   // see Repeat
	ContextFull Reason = "context_full" // see StopFull
)

// Sequence is what follows a prompt.
type Sequence struct {
	Tokens []int32 `json:"tokens"` // without the prompt, and without the stop token
	Reason Reason  `json:"reason"`
}

// Generate continues each prompt: sequence i of the result follows prompts[i].
// There may be more prompts than the decoder has sequences; a sequence that
// ends makes room for the next prompt. What the decoder held is forgotten.
//
// onToken, if not nil, is told each token as soon as it is chosen, those of one
// sequence in order; an error from it ends everything. If the context ends, or
// an error occurs, Generate returns it with what there is by then.
//
// It fails with an *[OptionError], for a prompt that is empty or longer than the
// context (unless it slides) or has tokens outside of the vocabulary, and with
// [ErrNoDistribution].
func Generate(ctx context.Context, d Decoder, prompts [][]int32, o Options, onToken func(sequence int, token int32) error) ([]Sequence, error) {
	sampler, err := NewSampler(o)
	if err != nil {
		return nil, err
	}
	if err := checkPrompts(d, prompts, o); err != nil {
		return nil, err
	}
	g := &generation{
		decoder: d, prompts: prompts, o: o, sampler: sampler, onToken: onToken,
		slots: make([]slot, d.Batch()), next: make([][]int32, d.Batch()), out: make([]Sequence, len(prompts)),
	}
	for g.fill() {
		if err := ctx.Err(); err != nil {
			return g.out, errors.Wrap(err, "sample")
		}
		if err := d.Append(g.next); err != nil {
			return g.out, err
		}
		for i := range g.slots {
			if g.slots[i].busy {
				if err := g.advance(i); err != nil {
					return g.out, err
				}
			}
		}
	}
	return g.out, nil
}

func checkPrompts(d Decoder, prompts [][]int32, o Options) error {
	for i, token := range o.Stop {
		if int(token) >= d.Vocab() {
			return errors.Errorf("sample: stop[%d] = %d, want a token < %d, the vocabulary", i, token, d.Vocab())
		}
	}
	for i, prompt := range prompts {
		if len(prompt) == 0 {
			return errors.Errorf("sample: prompt %d is empty, want at least one token", i)
		}
		if len(prompt) > d.Context() && o.Full != SlideFull {
			return errors.Errorf("sample: prompt %d has %d tokens, want at most %d, the context, unless full_context = %q", i, len(prompt), d.Context(), SlideFull)
		}
		for j, token := range prompt {
			if token < 0 || int(token) >= d.Vocab() {
				return errors.Errorf("sample: token %d of prompt %d = %d, want 0 <= token < %d, the vocabulary", j, i, token, d.Vocab())
			}
		}
	}
	return nil
}

// generation is a Generate in progress.
type generation struct {
	decoder Decoder
	prompts [][]int32
	o       Options
	sampler *Sampler
	onToken func(int, int32) error

	begun int       // prompts that have been given a slot
	slots []slot    // of the decoder's sequences
	next  [][]int32 // by slot: what to append
	out   []Sequence
}

// slot is a sequence of the decoder at work on a prompt.
type slot struct {
	busy     bool
	sequence int     // index of the prompt
	tokens   []int32 // the prompt and what follows it
	circling int     // the last so many new tokens equal those Repeat.Length before them
}

// fill gives waiting prompts to free slots. It returns false if all is done.
func (g *generation) fill() bool {
	work := false
	for i := range g.slots {
		s := &g.slots[i]
		if !s.busy {
			g.next[i] = nil
			if g.begun < len(g.prompts) {
				prompt := g.prompts[g.begun]
				*s = slot{busy: true, sequence: g.begun, tokens: slices.Clone(prompt)}
				g.begun++
				g.decoder.Reset(i)
				g.next[i] = s.tokens
				if len(prompt) > g.decoder.Context() {
					g.next[i] = lastHalf(s.tokens, g.decoder.Context())
				}
			}
		}
		work = work || s.busy
	}
	return work
}

// advance chooses the next token of a slot, and ends its sequence if that is
// due.
func (g *generation) advance(i int) error {
	s := &g.slots[i]
	out := &g.out[s.sequence]
	token, err := g.sampler.Pick(g.decoder.Logits(i), s.sequence, len(s.tokens))
	if err != nil {
		return errors.WithMessagef(err, "sequence %d, position %d", s.sequence, len(s.tokens))
	}
	if slices.Contains(g.o.Stop, token) {
		s.busy, out.Reason = false, StopToken
		return nil
	}
	s.tokens = append(s.tokens, token)
	out.Tokens = s.tokens[len(g.prompts[s.sequence]):]
	if g.onToken != nil {
		if err := g.onToken(s.sequence, token); err != nil {
			return err
		}
	}
	full := g.decoder.Len(i) == g.decoder.Context()
	switch {
	case s.repeats(out.Tokens, g.o.Repeat):
		out.Reason = Repetition
	case len(out.Tokens) == g.o.MaxNew:
		out.Reason = MaxTokens
	case full && g.o.Full != SlideFull:
		out.Reason = ContextFull
	case full:
		g.decoder.Reset(i)
		g.next[i] = lastHalf(s.tokens, g.decoder.Context())
	default:
		g.next[i] = s.tokens[len(s.tokens)-1:]
	}
	s.busy = out.Reason == ""
	return nil
}

// lastHalf is the end of a sequence, as long as half a context.
func lastHalf(tokens []int32, context int) []int32 {
	return tokens[len(tokens)-max(1, context/2):]
}

// repeats takes note of the last of the new tokens and reports whether they
// end in a repetition.
func (s *slot) repeats(tokens []int32, r Repeat) bool {
	n := len(tokens)
	if r.Length == 0 || n <= r.Length {
		return false
	}
	if tokens[n-1] == tokens[n-1-r.Length] {
		s.circling++
	} else {
		s.circling = 0
	}
	return s.circling == r.Length*(r.Times-1)
}
