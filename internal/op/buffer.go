package op

import (
	"unsafe"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// buffer is where an op leaves one result: the value that the machine sees and
// its elements. The storage is made at the first use and kept.
type buffer[T kernel.Float] struct {
	shape   tensor.Shape // () for a scalar
	value   gorgonia.Value
	data    []T
	private bool // written at other times than by its own node: shares no memory
}

// slice gives the elements, to be fully written by the op on each run: stock
// ops of Gorgonia overwrite their operands when they are the last to read
// them.
func (b *buffer[T]) slice() []T {
	if b.value == nil {
		b.data = make([]T, b.shape.TotalSize())
		b.value = wrap(b.data, b.shape)
	}
	return b.data
}

// wrap makes a Gorgonia value of data.
func wrap[T kernel.Float](data []T, shape tensor.Shape) gorgonia.Value {
	switch {
	case !shape.IsScalar():
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	case dtypeOf[T]() == tensor.Float32:
		return (*gorgonia.F32)(unsafe.Pointer(&data[0]))
	}
	return (*gorgonia.F64)(unsafe.Pointer(&data[0]))
}

// floats gives the elements of a value in row-major order: in place where the
// value is laid out so, else a copy.
func floats[T kernel.Float](v gorgonia.Value) ([]T, error) {
	if v == nil {
		return nil, errors.New("no value")
	}
	if want := dtypeOf[T](); v.Dtype() != want {
		return nil, errors.Errorf("dtype = %v, want %v", v.Dtype(), want)
	}
	switch v := v.(type) {
	case *gorgonia.F32:
		return unsafe.Slice((*T)(unsafe.Pointer(v)), 1), nil
	case *gorgonia.F64:
		return unsafe.Slice((*T)(unsafe.Pointer(v)), 1), nil
	case *tensor.Dense:
		v, err := rowMajor(v)
		if err != nil {
			return nil, err
		}
		if v.Dtype() == tensor.Float32 {
			return as[T](v.Float32s()), nil
		}
		return as[T](v.Float64s()), nil
	}
	return nil, errors.Errorf("value of type %T, want a dense tensor or a scalar", v)
}

// rowMajor is d, or a copy of d if d is a view whose elements do not lie in
// row-major order without gaps.
func rowMajor(d *tensor.Dense) (*tensor.Dense, error) {
	if !RowMajor(d) {
		d = d.Materialize().(*tensor.Dense)
	}
	if !RowMajor(d) {
		return nil, errors.Errorf("tensor of shape %v is column-major or masked, want a plain row-major tensor", d.Shape())
	}
	return d, nil
}

// RowMajor reports whether the elements of d lie in memory in row-major order
// without gaps. It looks at the strides themselves: the flags of a transposed
// tensor still say contiguous.
func RowMajor(d *tensor.Dense) bool {
	if !d.IsNativelyAccessible() || d.IsMasked() {
		return false
	}
	shape, strides, want := d.Shape(), d.Strides(), 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && (i >= len(strides) || strides[i] != want) {
			return false
		}
		want *= shape[i]
	}
	return true
}

// dtypeOf is Gorgonia's name of T.
func dtypeOf[T kernel.Float]() tensor.Dtype {
	if unsafe.Sizeof(T(0)) == 4 {
		return tensor.Float32
	}
	return tensor.Float64
}

// as is xs, whose elements are of type T in all but name.
func as[T, U kernel.Float](xs []U) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(xs))), len(xs))
}

// ints gives the elements of an integer tensor as int32, converted into *tmp
// where they are of another size.
func ints(v gorgonia.Value, tmp *[]int32) ([]int32, error) {
	d, ok := v.(*tensor.Dense)
	if !ok {
		return nil, errors.Errorf("value of type %T, want a dense tensor of integers", v)
	}
	d, err := rowMajor(d)
	if err != nil {
		return nil, err
	}
	switch d.Dtype() {
	case tensor.Int32:
		return d.Int32s(), nil
	case tensor.Int:
		return narrow(d.Ints(), tmp)
	case tensor.Int64:
		return narrow(d.Int64s(), tmp)
	}
	return nil, errors.Errorf("dtype = %v, want int32, int64 or int", d.Dtype())
}

func narrow[I int | int64](xs []I, tmp *[]int32) ([]int32, error) {
	if cap(*tmp) < len(xs) {
		*tmp = make([]int32, len(xs))
	}
	ys := (*tmp)[:len(xs)]
	for i, x := range xs {
		if ys[i] = int32(x); I(ys[i]) != x {
			return nil, errors.Errorf("element %d = %d, want a number of 32 bits", i, x)
		}
	}
	return ys, nil
}
