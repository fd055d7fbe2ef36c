package dataset

import (
	"math"

	"github.com/pkg/errors"
)

// Ignore is the target that carries no loss: the cross-entropy does not count
// it. It is PyTorch's default ignore_index.
const Ignore int32 = -100

// Order says which windows a batch takes.
type Order uint8

// The orders.
const (
	// Shuffled cuts the stream into blocks of T tokens and takes each block
	// once an epoch, in an order keyed by (seed, epoch). Each epoch shifts
	// the cuts by an offset keyed the same way, so that over the epochs the
	// model sees every window. This is the default.
	Shuffled Order = iota
	// Random draws the start of each window anywhere, with replacement, as
	// nanoGPT does.
	Random
	// Sequential takes the blocks of T tokens in order, once: the loss over
	// a whole validation split. The last block may be short and the last
	// batch have rows to spare: they are padded, with targets [Ignore].
	Sequential
)

// Config of a Loader.
type Config struct {
	B, T  int    // sequences a batch and tokens a sequence
	Micro int    // micro-batches a step; 0 means 1
	Vocab int    // every id read must be in [0, Vocab)
	Seed  uint64 // of the order
	Order Order

	// Mask, if not nil, is as long as the stream. A token whose mask is 0 is
	// read as input but is no target (its target becomes Ignore).
	Mask Tokens
}

// Loader cuts batches out of a token stream. It has no state: a batch is a
// function of (seed, step, micro-batch) alone. Safe for concurrent use.
type Loader struct {
	src    Tokens
	cfg    Config
	blocks int // windows an epoch (Shuffled) or a pass (Sequential)
}

// NewLoader checks cfg against the stream. It fails with ErrTooShort if the
// stream has no window: T+1 tokens, or 2 for Sequential, which pads.
func NewLoader(src Tokens, cfg Config) (*Loader, error) {
	if src == nil {
		return nil, errNilStream
	}
	if cfg.Micro == 0 {
		cfg.Micro = 1
	}
	if err := checkSizes(cfg.B, cfg.T, cfg.Micro, cfg.Vocab); err != nil {
		return nil, err
	}
	if cfg.Mask != nil && cfg.Mask.Len() != src.Len() {
		return nil, errors.Errorf("dataset: mask of %d tokens for a stream of %d, want the same length", cfg.Mask.Len(), src.Len())
	}
	need := cfg.T + 1
	l := &Loader{src: src, cfg: cfg}
	targets := src.Len() - 1 // every token but the first can be predicted
	switch cfg.Order {
	case Shuffled:
		// T-1 targets are left over for the shift of the epochs, if the
		// stream has more than one window.
		l.blocks = max(1, (targets-(cfg.T-1))/cfg.T)
	case Random:
	case Sequential:
		need = 2
		l.blocks = (targets + cfg.T - 1) / cfg.T
	default:
		return nil, errors.Errorf("dataset: order = %d, want Shuffled, Random or Sequential", cfg.Order)
	}
	if src.Len() < need {
		return nil, errors.Wrapf(ErrTooShort, "dataset: %d tokens, want at least %d (T = %d)", src.Len(), need, cfg.T)
	}
	return l, nil
}

// checkSizes refuses sizes that no batch has.
func checkSizes(b, t, micro, vocab int) error {
	for _, c := range []struct {
		name  string
		value int
	}{{"B", b}, {"T", t}, {"Micro", micro}, {"Vocab", vocab}} {
		if c.value < 1 || c.value > math.MaxInt32 {
			return errors.Errorf("dataset: %s = %d, want 1 <= %s <= %d", c.name, c.value, c.name, math.MaxInt32)
		}
	}
	return nil
}

// Len is the number of batches in one pass over the stream: an epoch of
// Shuffled (rounded up), all of Sequential. For Random, which has no passes, it
// is the number of batches that show as many tokens as the stream has.
func (l *Loader) Len() int {
	blocks := l.blocks
	if l.cfg.Order == Random {
		blocks = max(1, l.src.Len()/l.cfg.T)
	}
	return (blocks + l.cfg.B - 1) / l.cfg.B
}

// Tokens is the number of tokens in the stream.
func (l *Loader) Tokens() int { return l.src.Len() }

// Epoch is how often the stream has been shown before the given step.
func (l *Loader) Epoch(step int) float64 {
	shown := float64(step) * float64(l.cfg.Micro) * float64(l.cfg.B)
	if l.cfg.Order == Random {
		return shown * float64(l.cfg.T) / float64(l.src.Len())
	}
	return shown / float64(l.blocks)
}

// Batch fills tokens and targets, both (B,T) row-major and owned by the caller,
// with micro-batch micro of step. targets[b,t] is the token after tokens[b,t],
// or Ignore. Nothing is allocated. It fails with a *TokenError for an id beyond
// the vocabulary, and with ErrEnd past the end of a Sequential pass, whose
// batches are numbered by step*Micro + micro.
func (l *Loader) Batch(step, micro int, tokens, targets []int32) error {
	B, T := l.cfg.B, l.cfg.T
	if err := checkBatch(step, micro, l.cfg.Micro, B*T, tokens, targets); err != nil {
		return err
	}
	first := (step*l.cfg.Micro + micro) * B // number of the batch's first window
	if l.cfg.Order == Sequential && first >= l.blocks {
		return errors.Wrapf(ErrEnd, "dataset: batch %d of %d", first/B, l.Len())
	}
	order := windowOrder{
		order: l.cfg.Order, seed: l.cfg.Seed,
		blocks: l.blocks, stride: T,
		slack:  l.src.Len() - 1 - l.blocks*T, // targets that no block takes
		starts: l.src.Len() - T,
		epoch:  -1,
	}
	for b := range B {
		x, y := tokens[b*T:(b+1)*T], targets[b*T:(b+1)*T]
		if err := l.window(order.start(first+b), x, y); err != nil {
			return err
		}
	}
	return nil
}

func checkBatch(step, micro, micros, size int, tokens, targets []int32) error {
	if step < 0 || step > math.MaxInt/micros/size-1 {
		return errors.Errorf("dataset: step = %d, want 0 <= step", step)
	}
	if micro < 0 || micro >= micros {
		return errors.Errorf("dataset: micro = %d, want 0 <= micro < %d", micro, micros)
	}
	if len(tokens) != size || len(targets) != size {
		return errors.Errorf("dataset: %d tokens and %d targets to fill, want B*T = %d each", len(tokens), len(targets), size)
	}
	return nil
}

// window fills one row with the window that starts at position start. What
// lies beyond the stream is padded: token 0, target Ignore.
func (l *Loader) window(start int, x, y []int32) error {
	n := max(0, min(len(x), l.src.Len()-1-start)) // pairs that exist
	clear(x[n:])
	for i := n; i < len(y); i++ {
		y[i] = Ignore
	}
	if n == 0 {
		return nil
	}
	if err := l.src.ReadTokens(x[:n], start); err != nil {
		return err
	}
	if err := l.src.ReadTokens(y[:n], start+1); err != nil {
		return err
	}
	if err := checkIDs(x[:n], l.cfg.Vocab, start); err != nil {
		return err
	}
	if err := checkIDs(y[n-1:n], l.cfg.Vocab, start+n); err != nil {
		return err
	}
	return l.mask(start, n, x, y)
}

// mask turns the targets whose mask is 0 into Ignore. The mask is read into y;
// the targets are then taken from x, but for the last, which is kept.
func (l *Loader) mask(start, n int, x, y []int32) error {
	if l.cfg.Mask == nil {
		return nil
	}
	last := y[n-1]
	if err := l.cfg.Mask.ReadTokens(y[:n], start+1); err != nil {
		return errors.Wrap(err, "dataset: mask")
	}
	for i := range n {
		switch {
		case y[i] == 0:
			y[i] = Ignore
		case i == n-1:
			y[i] = last
		default:
			y[i] = x[i+1]
		}
	}
	return nil
}
