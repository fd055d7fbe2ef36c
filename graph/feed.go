package graph

import (
	"fmt"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Feed gives values to the inputs of a graph: a slice of the input's element
// type ([]int32, []int64, []int, []float32, []float64; row-major, as long as
// the shape asks), or a *tensor.Dense of the same shape and dtype. Values are
// copied: the caller may reuse its slices.
type Feed map[*gorgonia.Node]any

// copyFeed copies every value of f into the tensor bound to its input.
func copyFeed(f Feed) error {
	for n, v := range f {
		if n == nil {
			return errors.New("graph: feed for a nil node")
		}
		if !isLeaf(n) {
			return errors.Errorf("graph: feed %s: the node is a result, want an input", n.Name())
		}
		dst, err := inputTensor(n)
		if err != nil {
			return err
		}
		if err := copyInto(dst, v); err != nil {
			return errors.Wrapf(err, "graph: feed %s", n.Name())
		}
	}
	return nil
}

// inputTensor is the tensor bound to n, made on first use.
func inputTensor(n *gorgonia.Node) (*tensor.Dense, error) {
	if v := n.Value(); v != nil {
		d, ok := v.(*tensor.Dense)
		if !ok {
			return nil, errors.Errorf("graph: feed %s: bound to a %T, want a dense tensor", n.Name(), v)
		}
		return d, nil
	}
	d := tensor.New(tensor.Of(n.Dtype()), tensor.WithShape(n.Shape()...))
	return d, errors.Wrapf(gorgonia.Let(n, d), "graph: feed %s", n.Name())
}

func copyInto(dst *tensor.Dense, v any) error {
	if d, ok := v.(*tensor.Dense); ok {
		if d.Dtype() != dst.Dtype() || !d.Shape().Eq(dst.Shape()) {
			return errors.Errorf("tensor of %v %v, want %v %v", d.Dtype(), d.Shape(), dst.Dtype(), dst.Shape())
		}
		if !d.IsNativelyAccessible() || !d.DataOrder().IsContiguous() {
			return errors.New("tensor is a view, want a contiguous one")
		}
		v = d.Data()
	}
	n, ok := 0, false
	switch v := v.(type) {
	case []int32:
		n, ok = len(v), dst.Dtype() == tensor.Int32 && copyExact(dst.Int32s, v, dst.Size())
	case []int64:
		n, ok = len(v), dst.Dtype() == tensor.Int64 && copyExact(dst.Int64s, v, dst.Size())
	case []int:
		n, ok = len(v), dst.Dtype() == tensor.Int && copyExact(dst.Ints, v, dst.Size())
	case []float32:
		n, ok = len(v), dst.Dtype() == tensor.Float32 && copyExact(dst.Float32s, v, dst.Size())
	case []float64:
		n, ok = len(v), dst.Dtype() == tensor.Float64 && copyExact(dst.Float64s, v, dst.Size())
	default:
		return errors.Errorf("value of type %T, want a slice of %v or a tensor", v, dst.Dtype())
	}
	if !ok {
		return errors.Errorf("%d values of %s, want %d of %v for shape %v", n, elemName(v), dst.Size(), dst.Dtype(), dst.Shape())
	}
	return nil
}

// copyExact copies v if it is as long as the tensor.
func copyExact[T any](backing func() []T, v []T, size int) bool {
	return len(v) == size && copy(backing(), v) == size
}

func elemName(v any) string { return fmt.Sprintf("%T", v)[2:] }
