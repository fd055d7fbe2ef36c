package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// GELUTanh is the Gaussian error linear unit in its tanh form (Hendrycks and
// Gimpel 2016, arXiv:1606.08415), GPT-2's activation.
func GELUTanh(x *gorgonia.Node) (*gorgonia.Node, error) {
	return unaryNode("GELUTanh", x,
		&unary[float32]{kernel.GELUTanh[float32], kernel.GELUTanhBackward[float32]},
		&unary[float64]{kernel.GELUTanh[float64], kernel.GELUTanhBackward[float64]})
}

// GELUErf is the Gaussian error linear unit x Phi(x), Phi the normal
// distribution function.
func GELUErf(x *gorgonia.Node) (*gorgonia.Node, error) {
	return unaryNode("GELUErf", x,
		&unary[float32]{kernel.GELUErf[float32], kernel.GELUErfBackward[float32]},
		&unary[float64]{kernel.GELUErf[float64], kernel.GELUErfBackward[float64]})
}

// SiLU is x sigmoid(x).
func SiLU(x *gorgonia.Node) (*gorgonia.Node, error) {
	return unaryNode("SiLU", x,
		&unary[float32]{kernel.SiLU[float32], kernel.SiLUBackward[float32]},
		&unary[float64]{kernel.SiLU[float64], kernel.SiLUBackward[float64]})
}

// SwiGLU is SiLU(gate) up, elementwise, of h (...,2F) that holds gate and up
// side by side: (...,F) (Shazeer 2020, arXiv:2002.05202).
func SwiGLU(h *gorgonia.Node) (*gorgonia.Node, error) {
	return packedNode("SwiGLU", h,
		packed[float32]{f: kernel.SwiGLUPacked[float32], df: kernel.SwiGLUPackedBackward[float32]},
		packed[float64]{f: kernel.SwiGLUPacked[float64], df: kernel.SwiGLUPackedBackward[float64]})
}

// GeGLU is GELUTanh(gate) up, elementwise, of h (...,2F) that holds gate and up
// side by side: (...,F) (Shazeer 2020, arXiv:2002.05202).
func GeGLU(h *gorgonia.Node) (*gorgonia.Node, error) {
	return packedNode("GeGLU", h,
		packed[float32]{f: kernel.GeGLUPacked[float32], df: kernel.GeGLUPackedBackward[float32]},
		packed[float64]{f: kernel.GeGLUPacked[float64], df: kernel.GeGLUPackedBackward[float64]})
}

// SoftCap is cap tanh(x/cap), which bounds logits smoothly (Gemma 2,
// arXiv:2408.00118).
func SoftCap(x *gorgonia.Node, cap float64) (*gorgonia.Node, error) {
	if !(cap > 0) {
		return nil, errors.Errorf("op: SoftCap: cap = %v, want cap > 0", cap)
	}
	if x == nil {
		return nil, errors.New("op: SoftCap: x = nil, want a node")
	}
	s := spec{name: "SoftCap", in: gorgonia.Nodes{x}, shape: x.Shape(), reads: []int{output}}
	return build(s, softCap[float32](cap), softCap[float64](cap))
}

func unaryNode(name string, x *gorgonia.Node, f32 function[float32], f64 function[float64]) (*gorgonia.Node, error) {
	if x == nil {
		return nil, errors.Errorf("op: %s: x = nil, want a node", name)
	}
	return build(spec{name: name, in: gorgonia.Nodes{x}, shape: x.Shape(), reads: []int{0}}, f32, f64)
}

func packedNode(name string, h *gorgonia.Node, f32 packed[float32], f64 packed[float64]) (*gorgonia.Node, error) {
	rows, width, err := rowsOf(name, h)
	if err != nil {
		return nil, err
	}
	if width%2 != 0 {
		return nil, errors.Errorf("op: %s: shape of x = %v, want an even last dimension", name, h.Shape())
	}
	f32.rows, f32.cols, f64.rows, f64.cols = rows, width/2, rows, width/2
	s := spec{name: name, in: gorgonia.Nodes{h}, shape: withLast(h.Shape(), width/2), reads: []int{0}}
	return build(s, &f32, &f64)
}

// unary is an elementwise function of one input.
type unary[T kernel.Float] struct {
	f  func(y, x []T)
	df func(dx, x, dy []T)
}

func (u *unary[T]) forward(y []T, in *inputs[T]) error { u.f(y, in.f[0]); return nil }

func (u *unary[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	u.df(d[0], in.f[0], dy)
	return nil
}

// packed is an elementwise function of a gate and a value in one input.
type packed[T kernel.Float] struct {
	rows, cols int
	f          func(y, h []T, rows, cols int)
	df         func(dh, h, dy []T, rows, cols int)
}

func (p *packed[T]) forward(y []T, in *inputs[T]) error {
	p.f(y, in.f[0], p.rows, p.cols)
	return nil
}

func (p *packed[T]) backward(d [][]T, dy, _ []T, in *inputs[T]) error {
	p.df(d[0], in.f[0], dy, p.rows, p.cols)
	return nil
}

// softCap is the bound.
type softCap[T kernel.Float] float64

func (c softCap[T]) forward(y []T, in *inputs[T]) error {
	kernel.SoftCap(y, in.f[0], T(c))
	return nil
}

func (c softCap[T]) backward(d [][]T, dy, y []T, _ *inputs[T]) error {
	kernel.SoftCapBackward(d[0], y, dy, T(c))
	return nil
}
