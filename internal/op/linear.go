package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// LinearOptions are the variants of [Linear].
type LinearOptions struct {
	OutIn       bool // w is (Out,In) as in torch.nn.Linear, not (In,Out) as GPT-2's Conv1D
	NoInputGrad bool // x is data: no gradient for it
}

// Linear is y = x W + b of x (...,In): (...,Out). b may be nil.
func Linear(x, w, b *gorgonia.Node, o LinearOptions) (*gorgonia.Node, error) {
	rows, in, err := rowsOf("Linear", x)
	if err != nil {
		return nil, err
	}
	if w == nil || w.Dims() != 2 {
		return nil, errors.Errorf("op: Linear: w = %v, want a matrix", w)
	}
	d := linearShape{rows: rows, in: in, out: w.Shape()[1], outIn: o.OutIn}
	want := []int{in, d.out}
	if o.OutIn {
		d.out = w.Shape()[0]
		want = []int{d.out, in}
	}
	if err := wantShape("Linear", "w", w, want...); err != nil {
		return nil, err
	}
	s := spec{name: "Linear", in: gorgonia.Nodes{x, w}, shape: withLast(x.Shape(), d.out), reads: []int{0, 1}}
	if b != nil {
		if err := wantShape("Linear", "b", b, d.out); err != nil {
			return nil, err
		}
		s.in = append(s.in, b)
	}
	if o.NoInputGrad {
		s.constant = []int{0}
	}
	return build(s, &linear[float32]{d}, &linear[float64]{d})
}

type linearShape struct {
	rows, in, out int
	outIn         bool
}

type linear[T kernel.Float] struct{ linearShape }

// y = x W + b
func (l *linear[T]) forward(y []T, in *inputs[T]) error {
	x, w := in.f[0], in.f[1]
	kernel.Gemm(false, l.outIn, l.rows, l.out, l.in, 1, x, l.in, w, l.ld(), 0, y, l.out)
	if len(in.f) > 2 {
		kernel.AddBias(y, in.f[2], l.rows, l.out)
	}
	return nil
}

// dx = dy W', dW = x' dy (its transpose if W is (Out,In)), db = column sums of dy
func (l *linear[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	x, w := in.f[0], in.f[1]
	if dx := d[0]; dx != nil {
		kernel.Gemm(false, !l.outIn, l.rows, l.in, l.out, 1, dy, l.out, w, l.ld(), 0, dx, l.in)
	}
	if dw := d[1]; l.outIn {
		kernel.Gemm(true, false, l.out, l.in, l.rows, 1, dy, l.out, x, l.in, 0, dw, l.in)
	} else {
		kernel.Gemm(true, false, l.in, l.out, l.rows, 1, x, l.in, dy, l.out, 0, dw, l.out)
	}
	if len(d) > 2 {
		kernel.SumRows(d[2], dy, l.rows, l.out)
	}
	return nil
}

// ld is the row length of W.
func (l *linear[T]) ld() int {
	if l.outIn {
		return l.in
	}
	return l.out
}
