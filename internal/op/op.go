package op

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"sync/atomic"

	"github.com/chewxy/hm"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// base is what all ops of this package have in common as gorgonia.Op. Shapes
// and types are known when the op is made, from the nodes it is made for.
type base struct {
	id    uint64 // unique in the process; part of the hash by which Gorgonia tells nodes apart
	name  string
	types []hm.Type // of the inputs, then of the result
	shape tensor.Shape
}

var lastID atomic.Uint64

func newBase(name string, in gorgonia.Nodes, shape tensor.Shape, result hm.Type) base {
	b := base{id: lastID.Add(1), name: name, shape: shape}
	for _, n := range in {
		b.types = append(b.types, n.Type())
	}
	b.types = append(b.types, result)
	return b
}

// typeOf is the Gorgonia type of a tensor of T, or of a scalar.
func typeOf[T kernel.Float](shape tensor.Shape) hm.Type {
	if shape.IsScalar() {
		return dtypeOf[T]()
	}
	return gorgonia.TensorType{Dims: len(shape), Of: dtypeOf[T]()}
}

func (b *base) baseOf() *base { return b }

// Arity is the number of inputs.
func (b *base) Arity() int { return len(b.types) - 1 }

// Type is made afresh for each call: Gorgonia puts it into a pool.
func (b *base) Type() hm.Type { return hm.NewFnType(b.types...) }

// InferShape returns the shape that was checked when the op was made.
func (b *base) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return b.shape.Clone(), nil }

// ReturnsPtr, CallsExtern and OverwritesInput together make both machines call
// nothing but Do.
func (b *base) ReturnsPtr() bool { return true }

// CallsExtern is false, or the machine would allocate a result for each run.
func (b *base) CallsExtern() bool { return false }

// OverwritesInput is -1: no input is overwritten.
func (b *base) OverwritesInput() int { return -1 }

// WriteHash writes the op's identity.
func (b *base) WriteHash(h hash.Hash) { fmt.Fprintf(h, "gorget %s %d", b.name, b.id) }

// Hashcode is the hash of the op's identity.
func (b *base) Hashcode() uint32 {
	h := fnv.New32a()
	b.WriteHash(h)
	return h.Sum32()
}

// String is the op's name in drawings and errors.
func (b *base) String() string { return b.name }

// catch turns a panic into an error, which would else end the process, and
// names the op in an error. To be deferred by Do.
func (b *base) catch(err *error) {
	if r := recover(); r != nil {
		*err = errors.Errorf("%v", r)
	}
	*err = errors.Wrap(*err, b.name)
}

// forward is the op of a function: y = f(in).
type forward[T kernel.Float] struct {
	base
	spec  spec
	fn    function[T]
	in    inputs[T]
	y     buffer[T]
	wants []bool // which inputs get a gradient
	tape  []bool // which get it from this op on the TapeMachine
	lisp  *gradients[T]
	joint joint
}

func newForward[T kernel.Float](s spec, fn function[T]) *forward[T] {
	f := &forward[T]{
		base: newBase(s.name, s.in, s.shape, typeOf[T](s.shape)), spec: s, fn: fn,
		in: newInputs[T](len(s.in)), y: buffer[T]{shape: s.shape},
	}
	for i, n := range s.in {
		wants := !isInt(n.Dtype()) && !slices.Contains(s.constant, i)
		f.wants = append(f.wants, wants)
		f.tape = append(f.tape, wants && !slices.Contains(s.elsewhere, i))
	}
	return f
}

// Do computes the result, into the op's own buffer.
func (f *forward[T]) Do(vs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer f.catch(&err)
	for i, v := range vs {
		if err := f.in.load(i, v); err != nil {
			return nil, err
		}
	}
	if err := f.fn.forward(f.y.slice(), &f.in); err != nil {
		return nil, err
	}
	return f.y.value, nil
}
