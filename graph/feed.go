package graph

import (
	"reflect"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Feed gives values to the inputs of a graph: a slice of the input's element
// type ([]int32, []int64, []int, []float32, []float64; row-major, as long as
// the shape asks, 1 for a scalar), or a row-major *tensor.Dense of the same
// shape and dtype. Values are copied: the caller may reuse its slices.
type Feed map[*gorgonia.Node]any

// copyFeed copies every value of f into what is bound to its input.
func copyFeed(f Feed) error {
	for n, v := range f {
		if n == nil {
			return errors.New("graph: feed for a nil node")
		}
		if !isLeaf(n) {
			return errors.Errorf("graph: feed %s: the node is a result, want an input", n.Name())
		}
		if err := feed(n, v); err != nil {
			return errors.Wrapf(err, "graph: feed %s", n.Name())
		}
	}
	return nil
}

func feed(n *gorgonia.Node, v any) error {
	if n.Value() == nil { // bound on first use
		var zero any = reflect.Zero(n.Dtype().Type).Interface()
		if !n.IsScalar() {
			zero = tensor.New(tensor.Of(n.Dtype()), tensor.WithShape(n.Shape()...))
		}
		if err := gorgonia.Let(n, zero); err != nil {
			return err
		}
	}
	dst, err := elements(n.Value())
	if err != nil {
		return err
	}
	if d, ok := v.(*tensor.Dense); ok {
		if v, err = elements(d); err != nil {
			return err
		}
		if d.Dtype() != n.Dtype() || !d.Shape().Eq(n.Shape()) {
			return errors.Errorf("tensor of %v %v, want %v %v", d.Dtype(), d.Shape(), n.Dtype(), n.Shape())
		}
	}
	switch dst := dst.(type) {
	case []int32:
		return copyExact(dst, v, n.Shape())
	case []int64:
		return copyExact(dst, v, n.Shape())
	case []int:
		return copyExact(dst, v, n.Shape())
	case []float32:
		return copyExact(dst, v, n.Shape())
	default:
		return copyExact(dst.([]float64), v, n.Shape())
	}
}

// copyExact copies src if it is a slice of the same type and length as dst.
func copyExact[T any](dst []T, src any, shape tensor.Shape) error {
	if s, ok := src.([]T); ok && len(s) == len(dst) {
		copy(dst, s)
		return nil
	}
	r, want := reflect.ValueOf(src), reflect.TypeFor[T]()
	if r.Kind() != reflect.Slice {
		return errors.Errorf("value of type %T, want a slice of %v or a tensor", src, want)
	}
	return errors.Errorf("%d values of %v, want %d of %v for shape %v", r.Len(), r.Type().Elem(), len(dst), want, shape)
}
