package op

import (
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// eager is a function that wants to know where its gradients on the tape go:
// its forward pass computes them already, or it shares one with another op.
type eager[T kernel.Float] interface{ differentiate(g *gradients[T]) }

// joiner is a function that hands the gradient of its result to another op, see
// join.go.
type joiner interface{ join(grad *gorgonia.Node) }

// DiffWRT tells which inputs get a gradient from this op.
func (f *forward[T]) DiffWRT(int) []bool { return f.tape }

// SymDiff adds the nodes of the gradients of in, given the gradient of out.
func (f *forward[T]) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	grads := make(gorgonia.Nodes, len(in))
	if f.spec.passes {
		for i, takes := range f.tape {
			if takes {
				grads[i] = grad
			}
		}
		if j, ok := f.fn.(joiner); ok {
			j.join(grad)
		}
		return grads, nil
	}
	b := &backward[T]{fn: f.fn, spec: f.spec, in: newInputs[T](len(in)), grads: newGradients(f), first: slices.Index(f.tape, true)}
	if e, ok := f.fn.(eager[T]); ok {
		e.differentiate(b.grads)
	}
	children := make(gorgonia.Nodes, 0, len(f.spec.reads)+1)
	for _, i := range f.spec.reads {
		if i == output {
			children = append(children, out)
		} else {
			children = append(children, in[i])
		}
	}
	children = append(children, grad)
	if f.joint.grad != nil {
		children = append(children, f.joint.grad)
	}
	b.base = newBase(f.name+"Backward", children, in[b.first].Shape(), in[b.first].Type())
	main, err := apply(b, children...)
	if err != nil {
		return nil, err
	}
	grads[b.first] = main
	for i := b.first + 1; i < len(in); i++ {
		if !f.tape[i] {
			continue
		}
		g := &getter[T]{base: newBase(f.name+"Gradient", gorgonia.Nodes{main}, in[i].Shape(), in[i].Type()), of: b.grads.of[i]}
		if grads[i], err = apply(g, main); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// DoDiff adds the gradients of in to those that the LispMachine holds.
func (f *forward[T]) DoDiff(_ gorgonia.ExecutionContext, in gorgonia.Nodes, out *gorgonia.Node) (err error) {
	defer f.catch(&err)
	dy, err := gradOf[T](out)
	if err != nil {
		return err
	}
	for i, n := range in {
		if err := f.in.load(i, n.Value()); err != nil {
			return err
		}
	}
	var d [][]T
	if !f.spec.passes {
		if f.lisp == nil {
			f.lisp = newGradients(f)
		}
		d = f.lisp.slices()
		if err := f.fn.backward(d, dy, f.y.slice(), &f.in); err != nil {
			return err
		}
	}
	for i, n := range in {
		if !f.wants[i] {
			continue
		}
		sum, err := gradOf[T](n)
		if err != nil {
			return err
		}
		if f.spec.passes {
			kernel.AddTo(sum, dy)
		} else {
			kernel.AddTo(sum, d[i])
		}
	}
	return nil
}

// gradOf gives the elements of the gradient that the LispMachine keeps of n.
func gradOf[T kernel.Float](n *gorgonia.Node) ([]T, error) {
	g, err := n.Grad()
	if err != nil {
		return nil, errors.Wrapf(err, "gradient of %v", n)
	}
	return floats[T](g)
}

// gradients are the buffers of the gradients of an op's inputs.
type gradients[T kernel.Float] struct {
	wants []bool
	of    []*buffer[T]
	d     [][]T
}

func newGradients[T kernel.Float](f *forward[T]) *gradients[T] {
	g := &gradients[T]{wants: f.wants, d: make([][]T, len(f.wants))}
	for _, n := range f.spec.in {
		g.of = append(g.of, &buffer[T]{shape: n.Shape()})
	}
	return g
}

// slices are the elements of the wanted gradients, nil for the others.
func (g *gradients[T]) slices() [][]T {
	for i, want := range g.wants {
		if want {
			g.d[i] = g.of[i].slice()
		}
	}
	return g.d
}

// leaf is the part of gorgonia.SDOp of ops that are not differentiated again.
type leaf struct{}

// DiffWRT is false for every input.
func (leaf) DiffWRT(n int) []bool { return make([]bool, n) }

// SymDiff is never called, since DiffWRT is false.
func (leaf) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	return make(gorgonia.Nodes, len(in)), nil
}

// backward computes the gradients of all inputs of a function. Its inputs are
// those that the spec lists in reads, the gradient of the result and, if there
// is one, the gradient to be added; its result is the first gradient.
type backward[T kernel.Float] struct {
	base
	leaf
	fn    function[T]
	spec  spec
	in    inputs[T]
	grads *gradients[T]
	first int // the gradient that is the result
}

// Do computes all gradients, into the op's own buffers.
func (b *backward[T]) Do(vs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer b.catch(&err)
	var y []T
	for j, i := range b.spec.reads {
		if i == output {
			y, err = floats[T](vs[j])
		} else {
			err = b.in.load(i, vs[j])
		}
		if err != nil {
			return nil, err
		}
	}
	last := vs[len(b.spec.reads):]
	dy, err := floats[T](last[0])
	if err == nil && len(last) > 1 {
		b.in.more, err = floats[T](last[1])
	}
	if err != nil {
		return nil, errors.Wrap(err, "gradient")
	}
	if err := b.fn.backward(b.grads.slices(), dy, y, &b.in); err != nil {
		return nil, err
	}
	return b.grads.of[b.first].value, nil
}

// getter hands out another gradient of the backward op, its only input.
type getter[T kernel.Float] struct {
	base
	leaf
	of *buffer[T]
}

// Do returns the gradient that the backward op has computed.
func (g *getter[T]) Do(...gorgonia.Value) (gorgonia.Value, error) { return g.of.value, nil }
