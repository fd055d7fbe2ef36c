package golden

import (
	"encoding/binary"
	"math"

	"github.com/nlpodyssey/safetensors"
	"github.com/pkg/errors"
)

// Tensor is an array of a golden file, row-major. Exactly one of F64, F32 and
// I32 is set: the type in which the array is stored.
type Tensor struct {
	Shape []int // empty for a scalar, which has one element
	F64   []float64
	F32   []float32
	I32   []int32
}

func newTensor(v safetensors.NamedTensorView) (Tensor, error) {
	t := Tensor{Shape: make([]int, len(v.TensorView.Shape()))}
	for i, n := range v.TensorView.Shape() {
		t.Shape[i] = int(n)
	}
	data := v.TensorView.Data()
	le := binary.LittleEndian
	switch dtype := v.TensorView.DType(); dtype {
	case safetensors.F64:
		t.F64 = decode(data, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case safetensors.F32:
		t.F32 = decode(data, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case safetensors.I32:
		t.I32 = decode(data, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	default:
		return Tensor{}, errors.Errorf("tensor %q: dtype = %v, want F64, F32 or I32", v.Name, dtype)
	}
	return t, nil
}

func decode[T any](data []byte, size int, one func([]byte) T) []T {
	out := make([]T, len(data)/size)
	for i := range out {
		out[i] = one(data[i*size:])
	}
	return out
}

// Len is the number of elements.
func (t Tensor) Len() int { return len(t.F64) + len(t.F32) + len(t.I32) }

// Float64 returns the elements as float64, which holds each stored type
// exactly. The slice is the tensor's own if it is stored as F64.
func (t Tensor) Float64() []float64 { return floats(t, t.F64) }

// Float32 returns the elements as float32; F64 and large I32 are rounded. The
// slice is the tensor's own if it is stored as F32.
func (t Tensor) Float32() []float32 { return floats(t, t.F32) }

func floats[T Float](t Tensor, own []T) []T {
	if own != nil {
		return own
	}
	out := make([]T, 0, t.Len())
	for _, x := range t.F64 {
		out = append(out, T(x))
	}
	for _, x := range t.F32 {
		out = append(out, T(x))
	}
	for _, x := range t.I32 {
		out = append(out, T(x))
	}
	return out
}

// Rows cuts the elements of the first axis apart: a tensor of shape (n, ...)
// becomes n tensors of shape (...), which share its memory. A scalar has no
// rows.
func (t Tensor) Rows() []Tensor {
	if len(t.Shape) == 0 {
		return nil
	}
	rows := make([]Tensor, t.Shape[0])
	for i := range rows {
		rows[i] = Tensor{
			Shape: t.Shape[1:],
			F64:   cut(t.F64, i, len(rows)),
			F32:   cut(t.F32, i, len(rows)),
			I32:   cut(t.I32, i, len(rows)),
		}
	}
	return rows
}

// cut returns part i of n equal parts of s; nil stays nil.
func cut[T any](s []T, i, n int) []T {
	size := len(s) / n
	return s[i*size : (i+1)*size : (i+1)*size]
}
