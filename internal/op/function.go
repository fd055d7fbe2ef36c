package op

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/kernel"
)

// function is the mathematics of an op, over the elements of its inputs.
type function[T kernel.Float] interface {
	// forward sets every element of y. What it keeps for the backward pass,
	// apart from what the spec lists in reads, is private to the function.
	forward(y []T, in *inputs[T]) error
	// backward sets every element of d[i], the gradient of input i, for each
	// i whose d[i] is not nil. dy is the gradient of y.
	backward(d [][]T, dy, y []T, in *inputs[T]) error
}

// inputs are the elements of an op's inputs during one run: at each position
// either f or ids. In a backward pass they are nil where the spec does not
// list the input in reads.
type inputs[T kernel.Float] struct {
	f   [][]T
	ids [][]int32
	tmp [][]int32 // ids of other integer types, converted
	// more is, in a backward pass, a gradient of input 0 by another way, which
	// is to be added; nil if there is none.
	more []T
}

func newInputs[T kernel.Float](n int) inputs[T] {
	return inputs[T]{f: make([][]T, n), ids: make([][]int32, n), tmp: make([][]int32, n)}
}

// load takes the elements of v as input i.
func (in *inputs[T]) load(i int, v gorgonia.Value) (err error) {
	if d, ok := v.(*tensor.Dense); ok && isInt(d.Dtype()) {
		in.ids[i], err = ints(d, &in.tmp[i])
	} else {
		in.f[i], err = floats[T](v)
	}
	return errors.Wrapf(err, "input %d", i)
}

// spec is what an op is apart from its mathematics.
type spec struct {
	name  string
	in    gorgonia.Nodes
	shape tensor.Shape // of the result; () is a scalar
	// reads lists the inputs that the backward pass reads, and output if it
	// reads the result or anything that the forward pass kept: the machines
	// then run it after the forward pass and keep those values till then.
	reads []int
	// constant lists the float inputs that get no gradient.
	constant []int
	// passes says that the gradient of each input is that of the result.
	passes bool
	// elsewhere lists the inputs whose gradient the op of another node adds to
	// its own: on the tape this op hands none on. On the LispMachine, where
	// gradients are added in place anyway, it does.
	elsewhere []int
}

// output stands for the op's result in spec.reads.
const output = -1

// build checks the dtypes of the inputs and applies the op to them.
func build(s spec, f32 function[float32], f64 function[float64]) (*gorgonia.Node, error) {
	var dtype tensor.Dtype
	for i, n := range s.in {
		if n == nil {
			return nil, errors.Errorf("op: %s: input %d = nil, want a node", s.name, i)
		}
		switch dt := n.Dtype(); {
		case isInt(dt):
		case dt != tensor.Float32 && dt != tensor.Float64:
			return nil, errors.Errorf("op: %s: dtype of %v = %v, want float32 or float64", s.name, n, dt)
		case dtype == tensor.Dtype{}:
			dtype = dt
		case dt != dtype:
			return nil, errors.Errorf("op: %s: dtype of %v = %v, want %v as the inputs before it", s.name, n, dt, dtype)
		}
	}
	if dtype == tensor.Float64 {
		return apply(opOf(s, f64), s.in...)
	}
	return apply(opOf(s, f32), s.in...)
}

// weigher is a loss that is a mean over a number of rows.
type weigher interface{ Weight() float64 }

// lossOp is the op of a loss, which shows the weight of its last run.
type lossOp[T kernel.Float] struct {
	*forward[T]
	weigher
}

func opOf[T kernel.Float](s spec, fn function[T]) ownOp {
	f := newForward(s, fn)
	switch fn := fn.(type) {
	case weigher:
		return lossOp[T]{f, fn}
	case routerStater:
		return routerOp[T]{f, fn}
	}
	return f
}

// ownOp is an op of this package.
type ownOp interface {
	gorgonia.Op
	baseOf() *base
}

// apply makes the node of o. Gorgonia tells nodes apart by a hash of 32 bits
// and, at compilation, by nothing else: o takes new ids until its hash is new.
func apply(o ownOp, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	nodes := in[0].Graph().AllNodes()
	for {
		h := nodeHash(o, in)
		if !slices.ContainsFunc(nodes, func(n *gorgonia.Node) bool { return n.Hashcode() == h }) {
			break
		}
		o.baseOf().id = lastID.Add(1)
	}
	n, err := gorgonia.ApplyOp(o, in...)
	return n, errors.Wrapf(err, "op: %v", o)
}

// nodeHash is the hash that Gorgonia gives to the node of o, Node.WriteHash.
func nodeHash(o ownOp, in gorgonia.Nodes) uint32 {
	b, h := o.baseOf(), fnv.New32a()
	fmt.Fprintf(h, "%v%v", b.types[len(in)], b.shape)
	o.WriteHash(h)
	h.Write([]byte{byte(len(in))})
	for _, n := range in {
		h.Write(binary.LittleEndian.AppendUint32(nil, n.Hashcode()))
	}
	return h.Sum32()
}

func isInt(dt tensor.Dtype) bool {
	return dt == tensor.Int32 || dt == tensor.Int64 || dt == tensor.Int
}
