package graph

import (
	"unsafe"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/op"
)

// Floats gives the elements of a value that a solver can work on in place: a
// contiguous row-major tensor, or a scalar. Exactly one of the slices is
// not nil.
func Floats(v gorgonia.Value) (f32 []float32, f64 []float64, err error) {
	xs, err := elements(v)
	if err != nil {
		return nil, nil, err
	}
	switch xs := xs.(type) {
	case []float32:
		return xs, nil, nil
	case []float64:
		return nil, xs, nil
	}
	return nil, nil, errors.Errorf("graph: dtype = %v, want float32 or float64", v.Dtype())
}

// elements is a slice of the elements of a value, in place and in row-major
// order.
func elements(v gorgonia.Value) (any, error) {
	switch v := v.(type) {
	case *gorgonia.F32:
		return unsafe.Slice((*float32)(v), 1), nil
	case *gorgonia.F64:
		return unsafe.Slice((*float64)(v), 1), nil
	case *gorgonia.I:
		return unsafe.Slice((*int)(v), 1), nil
	case *gorgonia.I32:
		return unsafe.Slice((*int32)(v), 1), nil
	case *gorgonia.I64:
		return unsafe.Slice((*int64)(v), 1), nil
	case *tensor.Dense:
		if v == nil {
			return nil, errors.New("graph: tensor = nil, want a dense tensor")
		}
		if !op.RowMajor(v) {
			return nil, errors.Errorf("graph: tensor of shape %v has strides %v, want a contiguous row-major tensor", v.Shape(), v.Strides())
		}
		switch v.Dtype() {
		case tensor.Float32:
			return v.Float32s(), nil
		case tensor.Float64:
			return v.Float64s(), nil
		case tensor.Int:
			return v.Ints(), nil
		case tensor.Int32:
			return v.Int32s(), nil
		case tensor.Int64:
			return v.Int64s(), nil
		}
		return nil, errors.Errorf("graph: dtype = %v, want float32, float64, int, int32 or int64", v.Dtype())
	}
	return nil, errors.Errorf("graph: value of type %T, want a dense tensor or a scalar", v)
}
