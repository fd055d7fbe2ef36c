package op

import (
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// Recompute is build(x) whose backward pass computes it once more instead of
// keeping what its ops need (Chen et al. 2016, arXiv:1604.06174): a layer then
// costs the memory of its input alone, and one more forward pass. build must
// add nodes of this package's ops, the same each time, made of x and leaves.
//
// The nodes of the forward pass are never differentiated, so that ShareBuffers
// can use their memory again at once. On the LispMachine, which keeps every
// value anyway, their own gradients are used and nothing is computed twice.
func Recompute(x *gorgonia.Node, build func(x *gorgonia.Node) (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	y, err := build(x)
	if err != nil {
		return nil, err
	}
	in := gorgonia.Nodes{x, y}
	for _, n := range segment(y, x) {
		if n.Op() == nil && !isInt(n.Dtype()) {
			in = append(in, n)
		}
	}
	if x.Dtype() != y.Dtype() || !x.Shape().Eq(y.Shape()) {
		return nil, errors.Errorf("op: Recompute: %v %v becomes %v %v, want a result like x", x.Dtype(), x.Shape(), y.Dtype(), y.Shape())
	}
	b := newBase("Recompute", in, y.Shape(), y.Type())
	if dtypeOf[float64]() == y.Dtype() {
		return apply(&recompute[float64]{base: b, build: build, y: buffer[float64]{shape: y.Shape()}}, in...)
	}
	return apply(&recompute[float32]{base: b, build: build, y: buffer[float32]{shape: y.Shape()}}, in...)
}

// recompute hands on the result of the forward pass, its second input.
type recompute[T kernel.Float] struct {
	base
	build func(x *gorgonia.Node) (*gorgonia.Node, error)
	y     buffer[T]
}

func (r *recompute[T]) result() *buffer[T] { return &r.y }

// Do copies the result: an op must not return its input.
func (r *recompute[T]) Do(vs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer r.catch(&err)
	y, err := floats[T](vs[1])
	if err != nil {
		return nil, err
	}
	kernel.Scale(r.y.slice(), 1, y)
	return r.y.value, nil
}

// DiffWRT is true for x and the leaves, false for the forward pass.
func (r *recompute[T]) DiffWRT(n int) []bool {
	wants := slices.Repeat([]bool{true}, n)
	wants[1] = false
	return wants
}

// SymDiff adds the nodes of the second forward pass and differentiates those.
func (r *recompute[T]) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	x := in[0]
	y, err := r.build(x)
	if err != nil {
		return nil, err
	}
	nodes := segment(y, x)
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return int(b.ID() - a.ID()) }) // results before operands
	grads := map[*gorgonia.Node]*gorgonia.Node{y: grad}
	for _, n := range nodes {
		g := grads[n]
		if g == nil || n.Op() == nil {
			continue
		}
		o, ok := n.Op().(gorgonia.SDOp)
		if !ok {
			return nil, errors.Errorf("op: Recompute: %v has no gradient", n)
		}
		operands := operandsOf(n)
		ofOperands, err := o.SymDiff(operands, n, g)
		if err != nil {
			return nil, err
		}
		for i, wants := range o.DiffWRT(len(operands)) {
			c := operands[i]
			switch {
			case !wants || ofOperands[i] == nil:
			case grads[c] == nil:
				grads[c] = ofOperands[i]
			default:
				if grads[c], err = Add(grads[c], ofOperands[i]); err != nil {
					return nil, err
				}
			}
		}
	}
	out := make(gorgonia.Nodes, len(in))
	for i, n := range in {
		if i != 1 {
			if out[i] = grads[n]; out[i] == nil {
				return nil, errors.Errorf("op: Recompute: no gradient reaches %v", n)
			}
		}
	}
	return out, nil
}

// DoDiff hands the gradient to the forward pass, which the LispMachine has
// kept.
func (r *recompute[T]) DoDiff(_ gorgonia.ExecutionContext, in gorgonia.Nodes, out *gorgonia.Node) (err error) {
	defer r.catch(&err)
	dy, err := gradOf[T](out)
	if err != nil {
		return err
	}
	sum, err := gradOf[T](in[1])
	if err != nil {
		return err
	}
	kernel.AddTo(sum, dy)
	return nil
}

// segment lists the nodes that y is made of, y included, up to x, which is left
// out; each once.
func segment(y, x *gorgonia.Node) (nodes gorgonia.Nodes) {
	seen := map[*gorgonia.Node]bool{x: true}
	var walk func(n *gorgonia.Node)
	walk = func(n *gorgonia.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, c := range operandsOf(n) {
			walk(c)
		}
		nodes = append(nodes, n)
	}
	walk(y)
	return nodes
}
