package op

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// Add is a + b of equal shapes, the residual connection. Gorgonia's own Add
// allocates its result at each run.
func Add(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	s, err := addSpec("Add", a, b)
	if err != nil {
		return nil, err
	}
	return build(s, add[float32]{}, add[float64]{})
}

func addSpec(name string, a, b *gorgonia.Node) (spec, error) {
	if a == nil {
		return spec{}, errors.Errorf("op: %s: a = nil, want a node", name)
	}
	if err := wantShape(name, "b", b, a.Shape()...); err != nil {
		return spec{}, err
	}
	return spec{name: name, in: gorgonia.Nodes{a, b}, shape: a.Shape(), passes: true}, nil
}

type add[T kernel.Float] struct{}

func (add[T]) forward(y []T, in *inputs[T]) error { kernel.Add(y, in.f[0], in.f[1]); return nil }

// backward has nothing to do: the spec says that the gradient passes.
func (add[T]) backward([][]T, []T, []T, *inputs[T]) error { return nil }

// Scale is alpha x.
func Scale(x *gorgonia.Node, alpha float64) (*gorgonia.Node, error) {
	if x == nil {
		return nil, errors.New("op: Scale: x = nil, want a node")
	}
	s := spec{name: "Scale", in: gorgonia.Nodes{x}, shape: x.Shape()}
	return build(s, &scale[float32]{alpha}, &scale[float64]{alpha})
}

type scale[T kernel.Float] struct{ alpha float64 }

func (s *scale[T]) forward(y []T, in *inputs[T]) error {
	kernel.Scale(y, T(s.alpha), in.f[0])
	return nil
}

func (s *scale[T]) backward(d [][]T, dy, _ []T, _ *inputs[T]) error {
	kernel.Scale(d[0], T(s.alpha), dy)
	return nil
}
