package dataset

import "github.com/pkg/errors"

// Example is one short sequence to learn: a question with its answer, say.
type Example struct {
	Tokens []int32
	// Prompt is the number of leading tokens that are read but not learned:
	// no target among them carries loss.
	Prompt int
}

// Examples makes batches of whole examples, one a row, padded to T. It takes
// the place of a [Loader] where the data is not one long text. It has no
// state, and is safe for concurrent use.
type Examples struct {
	list []Example
	cfg  Config
}

// NewExamples checks the examples against cfg: 2 to T+1 tokens each, at least
// one of them a target, every id below Vocab. Order is Shuffled (each example
// once an epoch), Random (with replacement) or Sequential; Mask must be nil.
func NewExamples(list []Example, cfg Config) (*Examples, error) {
	if cfg.Micro == 0 {
		cfg.Micro = 1
	}
	if err := checkSizes(cfg.B, cfg.T, cfg.Micro, cfg.Vocab); err != nil {
		return nil, err
	}
	if cfg.Mask != nil {
		return nil, errors.New("dataset: a mask for examples, want nil: Prompt says what carries no loss")
	}
	if cfg.Order > Sequential {
		return nil, errors.Errorf("dataset: order = %d, want Shuffled, Random or Sequential", cfg.Order)
	}
	if len(list) == 0 {
		return nil, errors.Wrap(ErrEmpty, "dataset: examples")
	}
	for i, e := range list {
		switch n := len(e.Tokens); {
		case n < 2:
			return nil, errors.Wrapf(ErrTooShort, "dataset: example %d has %d tokens, want at least 2", i, n)
		case n > cfg.T+1:
			return nil, errors.Errorf("dataset: example %d has %d tokens, want at most T+1 = %d", i, n, cfg.T+1)
		case e.Prompt < 0 || e.Prompt >= n:
			return nil, errors.Errorf("dataset: example %d: prompt = %d, want 0 <= prompt < %d (its tokens)", i, e.Prompt, n)
		}
		if err := checkIDs(e.Tokens, cfg.Vocab, 0); err != nil {
			return nil, errors.WithMessagef(err, "dataset: example %d", i)
		}
	}
	return &Examples{list: list, cfg: cfg}, nil
}

// Len is the number of batches in one pass, rounded up.
func (e *Examples) Len() int { return (len(e.list) + e.cfg.B - 1) / e.cfg.B }

// Epoch is how often the examples have been shown before the given step.
func (e *Examples) Epoch(step int) float64 {
	return float64(step) * float64(e.cfg.Micro) * float64(e.cfg.B) / float64(len(e.list))
}

// Batch is as [Loader.Batch]. Rows to spare in the last batch of a Sequential
// pass are all Ignore.
func (e *Examples) Batch(step, micro int, tokens, targets []int32) error {
	B, T := e.cfg.B, e.cfg.T
	if err := checkBatch(step, micro, e.cfg.Micro, B*T, tokens, targets); err != nil {
		return err
	}
	first := (step*e.cfg.Micro + micro) * B
	if e.cfg.Order == Sequential && first >= len(e.list) {
		return errors.Wrapf(ErrEnd, "dataset: batch %d of %d", first/B, e.Len())
	}
	o := windowOrder{order: e.cfg.Order, seed: e.cfg.Seed, blocks: len(e.list), starts: len(e.list), stride: 1, epoch: -1}
	for b := range B {
		x, y := tokens[b*T:(b+1)*T], targets[b*T:(b+1)*T]
		clear(x)
		for t := range y {
			y[t] = Ignore
		}
		if i := o.start(first + b); i < len(e.list) {
			ex := e.list[i]
			copy(x, ex.Tokens[:len(ex.Tokens)-1])
			from := max(ex.Prompt, 1)
			copy(y[from-1:], ex.Tokens[from:])
		}
	}
	return nil
}
