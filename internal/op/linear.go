package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// LinearOptions are the variants of [Linear] and [Linears].
type LinearOptions struct {
	OutIn       bool // w is (Out,In) as in torch.nn.Linear, not (In,Out) as GPT-2's Conv1D
	NoInputGrad bool // x is data: no gradient for it
}

// Linear is y = x W + b of x (...,In): (...,Out). b may be nil.
func Linear(x, w, b *gorgonia.Node, o LinearOptions) (*gorgonia.Node, error) {
	if b == nil {
		return Linears(x, gorgonia.Nodes{w}, nil, o)
	}
	return Linears(x, gorgonia.Nodes{w}, gorgonia.Nodes{b}, o)
}

// Linears is several linear maps of one x (...,In), their results side by side:
// (...,Out1+Out2+...). The gradients of x are summed where they are computed.
// bs is empty or has a bias for each of ws.
func Linears(x *gorgonia.Node, ws, bs gorgonia.Nodes, o LinearOptions) (*gorgonia.Node, error) {
	rows, in, err := rowsOf("Linear", x)
	if err != nil {
		return nil, err
	}
	if len(ws) == 0 || len(bs) != 0 && len(bs) != len(ws) {
		return nil, errors.Errorf("op: Linear: %d weights and %d biases, want at least one weight, and no bias or one for each", len(ws), len(bs))
	}
	d := linearShape{rows: rows, in: in, outIn: o.OutIn, bias: len(bs) > 0}
	s := spec{name: "Linear", in: gorgonia.Nodes{x}, reads: []int{0}}
	for i, w := range ws {
		if w == nil || w.Dims() != 2 {
			return nil, errors.Errorf("op: Linear: w = %v, want a matrix", w)
		}
		out, want := w.Shape()[1], []int{in, w.Shape()[1]}
		if o.OutIn {
			out, want = w.Shape()[0], []int{w.Shape()[0], in}
		}
		if err := wantShape("Linear", "w", w, want...); err != nil {
			return nil, err
		}
		d.outs, d.width = append(d.outs, out), d.width+out
		s.in, s.reads = append(s.in, w), append(s.reads, 1+i)
	}
	for i, b := range bs {
		if err := wantShape("Linear", "b", b, d.outs[i]); err != nil {
			return nil, err
		}
		s.in = append(s.in, b)
	}
	s.shape = withLast(x.Shape(), d.width)
	if o.NoInputGrad {
		s.constant = []int{0}
	}
	return build(s, &linear[float32]{linearShape: d}, &linear[float64]{linearShape: d})
}

type linearShape struct {
	rows, in    int
	outs        []int // columns of each map
	width       int   // sum of outs
	outIn, bias bool
}

type linear[T kernel.Float] struct {
	linearShape
	biases []T // (width), the biases side by side
}

// y = x W + b
func (l *linear[T]) forward(y []T, in *inputs[T]) error {
	x, at := in.f[0], 0
	for i, out := range l.outs {
		kernel.Gemm(false, l.outIn, l.rows, out, l.in, 1, x, l.in, in.f[1+i], l.ld(out), 0, y[at:], l.width)
		at += out
	}
	if l.bias {
		l.biases = l.biases[:0]
		for _, b := range in.f[1+len(l.outs):] {
			l.biases = append(l.biases, b...)
		}
		kernel.AddBias(y, l.biases, l.rows, l.width)
	}
	return nil
}

// dx = dy W', dW = x' dy (its transpose if W is (Out,In)), db = column sums of dy
func (l *linear[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	x, at := in.f[0], 0
	for i, out := range l.outs {
		w, dw, dy := in.f[1+i], d[1+i], dy[at:]
		if dx := d[0]; dx != nil {
			kernel.Gemm(false, !l.outIn, l.rows, l.in, out, 1, dy, l.width, w, l.ld(out), T(min(i, 1)), dx, l.in)
		}
		if l.outIn {
			kernel.Gemm(true, false, out, l.in, l.rows, 1, dy, l.width, x, l.in, 0, dw, l.in)
		} else {
			kernel.Gemm(true, false, l.in, out, l.rows, 1, x, l.in, dy, l.width, 0, dw, out)
		}
		at += out
	}
	if l.bias {
		kernel.SumRows(l.biases, dy, l.rows, l.width)
		sums := l.biases
		for _, db := range d[1+len(l.outs):] {
			sums = sums[copy(db, sums):]
		}
	}
	return nil
}

// ld is the row length of a W with out columns of results.
func (l *linear[T]) ld(out int) int {
	if l.outIn {
		return l.in
	}
	return out
}
