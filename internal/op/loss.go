package op

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// LossOptions are the variants of a cross-entropy.
type LossOptions struct {
	Ignore int     // the target of rows that do not count; any number outside of the vocabulary
	ZLoss  float64 // weight of log(Z)^2, which keeps the logits' normalizer Z near 1; 0 is none
}

// CrossEntropy is the mean over the counted rows of
//
//	-log softmax(logits)[target] + ZLoss log(Z)^2
//
// of logits (...,V) and integer targets, one a row: a scalar. It is 0 if no
// row counts. The node's op has a method Weight() float64, the number of rows
// that counted in the last run.
func CrossEntropy(logits, targets *gorgonia.Node, o LossOptions) (*gorgonia.Node, error) {
	rows, vocab, err := rowsOf("CrossEntropy", logits)
	if err != nil {
		return nil, err
	}
	l, err := newLoss("CrossEntropy", rows, vocab, targets, o)
	if err != nil {
		return nil, err
	}
	s := spec{name: "CrossEntropy", in: gorgonia.Nodes{logits, targets}, shape: tensor.ScalarShape(), reads: []int{0, 1, output}}
	return build(s, &crossEntropy[float32]{loss: l}, &crossEntropy[float64]{loss: l})
}

// loss is what the ops that end in a cross-entropy share.
type loss struct {
	rows, vocab int
	ignore      int32
	zloss       float64
	counted     int // rows that counted in the last run
}

func newLoss(op string, rows, vocab int, targets *gorgonia.Node, o LossOptions) (loss, error) {
	switch {
	case targets == nil || !isInt(targets.Dtype()):
		return loss{}, errors.Errorf("op: %s: targets = %v, want an integer tensor", op, targets)
	case targets.Shape().TotalSize() != rows:
		return loss{}, errors.Errorf("op: %s: shape of targets = %v, want %d targets, one a row", op, targets.Shape(), rows)
	case o.Ignore >= 0 && o.Ignore < vocab || o.Ignore != int(int32(o.Ignore)):
		return loss{}, errors.Errorf("op: %s: ignored target = %d, want a number of 32 bits outside of the vocabulary of %d", op, o.Ignore, vocab)
	case !(o.ZLoss >= 0) || math.IsInf(o.ZLoss, 1):
		return loss{}, errors.Errorf("op: %s: weight of the z-loss = %v, want a number >= 0", op, o.ZLoss)
	}
	return loss{rows: rows, vocab: vocab, ignore: int32(o.Ignore), zloss: o.ZLoss}, nil
}

// Weight is the number of rows that counted in the last run.
func (l *loss) Weight() float64 { return float64(l.counted) }

// count counts the rows that are not ignored, and refuses targets that are no
// token.
func (l *loss) count(targets []int32) error {
	l.counted = 0
	for i, t := range targets {
		if t == l.ignore {
			continue
		}
		if uint32(t) >= uint32(l.vocab) {
			return errors.Errorf("targets[%d] = %d, want 0 <= target < %d, the size of the vocabulary, or %d to ignore it", i, t, l.vocab, l.ignore)
		}
		l.counted++
	}
	return nil
}

// share is the weight of one counted row in the mean.
func (l *loss) share() float64 { return 1 / float64(max(l.counted, 1)) }

type crossEntropy[T kernel.Float] struct {
	loss
	perRow, lse []T // (rows)
}

func (c *crossEntropy[T]) forward(y []T, in *inputs[T]) error {
	targets := in.ids[1]
	if err := c.count(targets); err != nil {
		return err
	}
	c.perRow, c.lse = grow(c.perRow, c.rows), grow(c.lse, c.rows)
	c.kernel(0).Forward(c.perRow, c.lse, in.f[0], targets)
	y[0] = T(kernel.Sum(c.perRow) * c.share())
	return nil
}

// dlogits = dy/counted ((1 + 2 ZLoss log(Z)) softmax(logits) - onehot(target))
func (c *crossEntropy[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	c.kernel(float64(dy[0])*c.share()).Backward(d[0], in.f[0], c.lse, in.ids[1])
	return nil
}

func (c *crossEntropy[T]) kernel(scale float64) kernel.CrossEntropy[T] {
	return kernel.CrossEntropy[T]{Rows: c.rows, Vocab: c.vocab, Ignore: c.ignore, ZLoss: T(c.zloss), Scale: T(scale)}
}
