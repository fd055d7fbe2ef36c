package op

import (
	"gorgonia.org/gorgonia"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/kernel"
)

// Dropout sets each element of x to 0 with probability p and divides the
// others by 1-p (Srivastava et al. 2014).
func Dropout(x *gorgonia.Node, p float64, r Random) (*gorgonia.Node, error) {
	return dropNode("Dropout", x, p, r, 0)
}

// DropPath sets each sample of x (B,...) to 0 with probability p and divides
// the others by 1-p: stochastic depth (Huang et al. 2016, arXiv:1603.09382).
func DropPath(x *gorgonia.Node, p float64, r Random) (*gorgonia.Node, error) {
	if x == nil || x.Dims() < 1 {
		return nil, errors.Errorf("op: DropPath: x = %v, want a tensor (B,...)", x)
	}
	return dropNode("DropPath", x, p, r, x.Shape()[0])
}

func dropNode(name string, x *gorgonia.Node, p float64, r Random, samples int) (*gorgonia.Node, error) {
	if x == nil {
		return nil, errors.Errorf("op: %s: x = nil, want a node", name)
	}
	if err := r.check(name, p); err != nil {
		return nil, err
	}
	s := spec{name: name, in: gorgonia.Nodes{x, r.Clock}, shape: x.Shape(), reads: []int{1}}
	return build(s, &dropout[float32]{p, r.key(), samples}, &dropout[float64]{p, r.key(), samples})
}

// dropout multiplies by a mask, so forward and backward are one function.
type dropout[T kernel.Float] struct {
	p       float64
	key     [2]uint32
	samples int // of DropPath; 0 drops elements
}

func (d *dropout[T]) forward(y []T, in *inputs[T]) error {
	d.mask(y, in.f[0], in.ids[1])
	return nil
}

func (d *dropout[T]) backward(dx [][]T, dy, _ []T, in *inputs[T]) error {
	d.mask(dx[0], dy, in.ids[1])
	return nil
}

func (d *dropout[T]) mask(y, x []T, clock []int32) {
	if d.samples > 0 {
		kernel.DropPath(y, x, d.samples, d.p, d.key, counter(clock))
	} else {
		kernel.Dropout(y, x, d.p, d.key, counter(clock))
	}
}
