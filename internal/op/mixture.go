package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// Expert is one gated MLP of a mixture: Down (glu(Gate x) Up x), each matrix
// stored (Out,In).
type Expert struct {
	Gate, Up *gorgonia.Node // (F,C)
	Down     *gorgonia.Node // (C,F)
}

// MixtureOptions are the variants of [Mixture].
type MixtureOptions struct {
	GeGLU  bool           // GELU (tanh) gates the experts, not SiLU
	Memory *MixtureMemory // nil means one of the op's own
}

// Mixture is a sparse mixture of experts: the sum over the experts e of
// gates[e] expert_e(x), for x (...,C) and gates (...,E) as [Route] makes them:
// (...,C). An expert sees only those tokens whose gate for it is not 0, and
// nothing is computed for the others; the gradient of an expert without tokens
// is exactly 0.
func Mixture(x, gates *gorgonia.Node, experts []Expert, o MixtureOptions) (*gorgonia.Node, error) {
	const name = "Mixture"
	rows, channels, err := rowsOf(name, x)
	if err != nil {
		return nil, err
	}
	if len(experts) == 0 || experts[0].Gate == nil || experts[0].Gate.Dims() != 2 {
		return nil, errors.Errorf("op: %s: experts = %v, want at least one whose gate is a matrix", name, experts)
	}
	m := mixtureShape{rows: rows, channels: channels, experts: len(experts), hidden: experts[0].Gate.Shape()[0]}
	if err := wantShape(name, "gates", gates, withLast(x.Shape(), m.experts)...); err != nil {
		return nil, err
	}
	if m.memory = o.Memory; m.memory == nil {
		m.memory = new(MixtureMemory)
	}
	s := spec{name: name, in: gorgonia.Nodes{x, gates}, shape: x.Shape(), reads: []int{output, 0}}
	for _, e := range experts {
		for _, w := range []struct {
			name    string
			node    *gorgonia.Node
			out, in int
		}{{"gate", e.Gate, m.hidden, channels}, {"up", e.Up, m.hidden, channels}, {"down", e.Down, channels, m.hidden}} {
			if err := wantShape(name, w.name, w.node, w.out, w.in); err != nil {
				return nil, err
			}
			s.reads = append(s.reads, len(s.in))
			s.in = append(s.in, w.node)
		}
	}
	f32 := gated[float32]{kernel.SwiGLU[float32], kernel.SwiGLUBackward[float32]}
	f64 := gated[float64]{kernel.SwiGLU[float64], kernel.SwiGLUBackward[float64]}
	if o.GeGLU {
		f32 = gated[float32]{kernel.GeGLU[float32], kernel.GeGLUBackward[float32]}
		f64 = gated[float64]{kernel.GeGLU[float64], kernel.GeGLUBackward[float64]}
	}
	return build(s, &mixture[float32]{mixtureShape: m, glu: f32}, &mixture[float64]{mixtureShape: m, glu: f64})
}

// MixtureMemory is what the mixtures of one graph share, since they run one
// after another: the rows of their tokens, in the order of experts.
type MixtureMemory struct {
	f32 mixtureRows[float32]
	f64 mixtureRows[float64]
}

// gated is an elementwise function of a gate and a value.
type gated[T kernel.Float] struct {
	f  func(y, gate, up []T)
	df func(dgate, dup, gate, up, dy []T)
}

// mixtureRows has one row a slot: a pair of a token and one of its experts.
type mixtureRows[T kernel.Float] struct {
	x, dy []T // (S,C)
	h, dh []T // (S,F)
}

func mixtureRowsOf[T kernel.Float](m *MixtureMemory) *mixtureRows[T] {
	if r, ok := any(&m.f32).(*mixtureRows[T]); ok {
		return r
	}
	return any(&m.f64).(*mixtureRows[T])
}

type mixtureShape struct {
	rows, channels, hidden, experts int
	memory                          *MixtureMemory
}

type mixture[T kernel.Float] struct {
	mixtureShape
	glu      gated[T]
	dispatch kernel.Dispatch[T]
	gate, up []T // (S,F) kept for the backward pass
}

// weights are the gate, up and down matrices of expert e, or their gradients.
func weights[T kernel.Float](x [][]T, e int) (gate, up, down []T) {
	x = x[2+3*e:]
	return x[0], x[1], x[2]
}

// y = sum over a token's slots of its gate times Down h, h = glu(Gate x, Up x)
func (m *mixture[T]) forward(y []T, in *inputs[T]) error {
	d, mem, c, f := &m.dispatch, mixtureRowsOf[T](m.memory), m.channels, m.hidden
	d.Sort(in.f[1], m.rows, m.experts)
	s := d.Slots()
	m.gate, m.up = grow(m.gate, s*f), grow(m.up, s*f)
	mem.x, mem.h = grow(mem.x, s*c), grow(mem.h, s*f)
	x, h := mem.x, mem.h
	d.Gather(x, in.f[0], c) // (S,C)
	for e := range m.experts {
		lo, hi := d.Range(e)
		gate, up, _ := weights(in.f, e)
		kernel.Gemm(false, true, hi-lo, f, c, 1, x[lo*c:], c, gate, c, 0, m.gate[lo*f:], f)
		kernel.Gemm(false, true, hi-lo, f, c, 1, x[lo*c:], c, up, c, 0, m.up[lo*f:], f)
	}
	m.glu.f(h, m.gate, m.up) // (S,F)
	out := x                 // no longer needed
	for e := range m.experts {
		lo, hi := d.Range(e)
		_, _, down := weights(in.f, e)
		kernel.Gemm(false, true, hi-lo, c, f, 1, h[lo*f:], f, down, f, 0, out[lo*c:], c)
	}
	d.Combine(y, out, true, c)
	return nil
}

// With dy gathered into slots and g the gate of a slot,
//
//	dg = (dy Down) h,  dh = g dy Down,  dDown = g dy' h,
//	dGate = dgate' x,  dUp = dup' x,  dx = sum over a token's slots of dgate Gate + dup Up
func (m *mixture[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	to, mem, c, f := &m.dispatch, mixtureRowsOf[T](m.memory), m.channels, m.hidden
	s := to.Slots()
	mem.x, mem.dy, mem.h, mem.dh = grow(mem.x, s*c), grow(mem.dy, s*c), grow(mem.h, s*f), grow(mem.dh, s*f)
	x, dout, h, dh := mem.x, mem.dy, mem.h, mem.dh
	to.Gather(x, in.f[0], c) // (S,C)
	to.Gather(dout, dy, c)   // (S,C)
	m.glu.f(h, m.gate, m.up) // (S,F), made again rather than kept
	for e := range m.experts {
		lo, hi := to.Range(e)
		_, _, down := weights(in.f, e)
		kernel.Gemm(false, false, hi-lo, f, c, 1, dout[lo*c:], c, down, f, 0, dh[lo*f:], f)
	}
	to.GateGradients(d[1], dh, h, f)
	to.Weigh(dh, f)
	to.Weigh(dout, c)
	for e := range m.experts {
		lo, hi := to.Range(e)
		_, _, ddown := weights(d, e)
		kernel.Gemm(true, false, c, f, hi-lo, 1, dout[lo*c:], c, h[lo*f:], f, 0, ddown, f)
	}
	dgate, dup, dx := dh, h, dout // in the place of what is no longer needed
	m.glu.df(dgate, dup, m.gate, m.up, dh)
	for e := range m.experts {
		lo, hi := to.Range(e)
		gate, up, _ := weights(in.f, e)
		dwgate, dwup, _ := weights(d, e)
		kernel.Gemm(true, false, f, c, hi-lo, 1, dgate[lo*f:], f, x[lo*c:], c, 0, dwgate, c)
		kernel.Gemm(true, false, f, c, hi-lo, 1, dup[lo*f:], f, x[lo*c:], c, 0, dwup, c)
		kernel.Gemm(false, false, hi-lo, c, f, 1, dgate[lo*f:], f, gate, c, 0, dx[lo*c:], c)
		kernel.Gemm(false, false, hi-lo, c, f, 1, dup[lo*f:], f, up, c, 1, dx[lo*c:], c)
	}
	to.Combine(d[0], dx, false, c)
	return nil
}
