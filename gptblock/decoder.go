package gptblock

import (
	"fmt"
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// Decoder continues token sequences with a model, without a graph: it keeps
// the keys and values of the tokens that it has seen, so that a further token
// costs one pass of that token alone and its attention to what came before.
//
// Its logits are those of [Model.Logits] for a model without dropout, up to
// rounding; those of a sequence do not depend on the other sequences, to the
// bit, nor on the size of the batch up to [SmallBatch]. It works on the model's own tensors and so sees every update of the
// weights, but what it has seen by then was seen with the old ones: Reset after
// an update. It is not safe for concurrent use, nor for use while the model
// trains.
type Decoder struct {
	config Config
	length []int       // (B) tokens seen
	logits [][]float64 // (B,V)
	net    decoding

	// Of the piece in work, kept for their memory.
	ids   []int32
	spans []span
}

// SmallBatch is the largest batch of a [Decoder] that computes single tokens by
// reading each weight once, in the order of memory, which is fastest for few
// rows. Larger batches take the general matrix product, which rounds
// differently.
const SmallBatch = 4

// decodeChunk is how many new tokens of a sequence go through the model at
// once. It bounds the memory of activations, whatever the length of a prompt.
const decodeChunk = 256

// span is a run of new tokens of one sequence among the rows of a piece.
type span struct {
	sequence int
	lo, hi   int  // rows
	past     int  // position of row lo
	last     bool // the row before hi ends what was given: its logits are wanted
}

// decoding is the numeric part of a Decoder, in float32 or float64.
type decoding interface {
	// run computes the tokens of the spans; few says that they are few rows.
	run(ids []int32, spans []span, logits [][]float64, few bool)
	forget(sequence int)
}

// ContextError says that a sequence would become longer than the context.
type ContextError struct {
	Sequence int
	Len, New int // tokens seen, and tokens to append
	Context  int
}

// Error names the sequence and the lengths.
func (e *ContextError) Error() string {
	return fmt.Sprintf("gptblock: sequence %d has %d tokens and gets %d more, want at most %d, the context", e.Sequence, e.Len, e.New, e.Context)
}

// NewDecoder makes a decoder of batch sequences, all empty. For each of them it
// has memory for the keys and values of the context; in a layer with a window W
// much shorter than the context, for some 2 W tokens.
func NewDecoder(m *Model, batch int) (*Decoder, error) {
	switch {
	case m == nil || m.Head == nil || m.Head.Value() == nil:
		return nil, errors.New("gptblock: NewDecoder needs a model with weights, not one that is only described")
	case batch < 1:
		return nil, errors.Errorf("gptblock: NewDecoder: batch = %d, want at least 1", batch)
	}
	c := m.Config.withDefaults()
	d := &Decoder{config: c, length: make([]int, batch), logits: make([][]float64, batch)}
	for b := range d.logits {
		d.logits[b] = make([]float64, c.Vocab)
	}
	var err error
	if m.Head.Dtype() == tensor.Float64 {
		d.net, err = newNetwork[float64](m, batch)
	} else {
		d.net, err = newNetwork[float32](m, batch)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Batch is the number of sequences.
func (d *Decoder) Batch() int { return len(d.length) }

// Context is the largest number of tokens of a sequence.
func (d *Decoder) Context() int { return d.config.Context }

// Vocab is the number of logits.
func (d *Decoder) Vocab() int { return d.config.Vocab }

// Len is the number of tokens that a sequence has.
func (d *Decoder) Len(sequence int) int { return d.length[sequence] }

// Logits of the token that follows the last one of a sequence (V); zeros
// while it has none. They are overwritten by the next Append to the sequence.
func (d *Decoder) Logits(sequence int) []float64 { return d.logits[sequence] }

// Reset forgets the tokens of a sequence.
func (d *Decoder) Reset(sequence int) {
	d.length[sequence] = 0
	clear(d.logits[sequence])
	d.net.forget(sequence)
}

// Append adds tokens[b] to sequence b and computes the logits of the token that
// follows. There must be an entry for each sequence; empty ones leave their
// sequence as it is and cost nothing. The lengths may differ.
//
// It fails with a *[ContextError] if a sequence would become too long, and with
// an error that names the place of a token outside of the vocabulary; then
// nothing has changed.
func (d *Decoder) Append(tokens [][]int32) error {
	if err := d.check(tokens); err != nil {
		return err
	}
	longest := 0
	for _, ids := range tokens {
		longest = max(longest, len(ids))
	}
	for at := 0; at < longest; at += decodeChunk {
		for _, single := range []bool{false, true} {
			if d.cut(tokens, at, single); len(d.spans) == 0 {
				continue
			}
			d.net.run(d.ids, d.spans, d.logits, single && d.Batch() <= SmallBatch)
			for _, s := range d.spans {
				d.length[s.sequence] += s.hi - s.lo
			}
		}
	}
	return nil
}

func (d *Decoder) check(tokens [][]int32) error {
	if len(tokens) != len(d.length) {
		return errors.Errorf("gptblock: Append got tokens of %d sequences, want %d, the batch", len(tokens), len(d.length))
	}
	for b, ids := range tokens {
		if n := d.length[b]; len(ids) > d.config.Context-n {
			return &ContextError{Sequence: b, Len: n, New: len(ids), Context: d.config.Context}
		}
		for i, id := range ids {
			if id < 0 || int(id) >= d.config.Vocab {
				return errors.Errorf("gptblock: token %d for sequence %d = %d, want 0 <= token < %d, the vocabulary", i, b, id, d.config.Vocab)
			}
		}
	}
	return nil
}

// cut takes the tokens [at, at+decodeChunk) of each sequence as the next piece:
// those of the sequences that have a single one, or those of the others. They
// are computed in different ways, and which it is must not depend on the
// company.
func (d *Decoder) cut(tokens [][]int32, at int, single bool) {
	d.ids, d.spans = d.ids[:0], d.spans[:0]
	for b, ids := range tokens {
		end := min(at+decodeChunk, len(ids))
		if n := end - at; n < 1 || (n == 1) != single {
			continue
		}
		lo := len(d.ids)
		d.ids = append(d.ids, ids[at:end]...)
		d.spans = append(d.spans, span{
			sequence: b, lo: lo, hi: len(d.ids), past: d.length[b], last: end == len(ids),
		})
	}
}

// resize is xs with n elements of any content, made anew if it had fewer.
func resize[E any](xs []E, n int) []E { return slices.Grow(xs[:0], n)[:n] }
