package op

import (
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// Gorgonia adds the gradients of a node that is used twice by an op of its own,
// single-threaded and in a pass over memory each. The two places of a GPT where
// that matters join their gradients here: the residual connection around a
// norm, and the two uses of a tied embedding. In both, the use that Gorgonia
// differentiates first hands its gradient to the op of the other use, which
// depends on that order: the first must be downstream of the second.

// joint is where the op of a norm takes the gradient that its input has by way
// of a residual connection.
type joint struct {
	taken bool           // by a residual connection
	grad  *gorgonia.Node // nil until that was differentiated
}

// jointer is an op that may have a joint.
type jointer interface{ jointOf() *joint }

// jointOf is nil unless the op's function adds inputs.more to its gradient.
func (f *forward[T]) jointOf() *joint {
	if _, ok := f.fn.(interface{ takesMore() }); ok {
		return &f.joint
	}
	return nil
}

// Residual is x + branch, where branch is made of norm, a norm of x. It is Add
// but for speed: the gradient of x by way of the sum is added to that by way of
// the norm in the norm's own backward pass.
func Residual(x, branch, norm *gorgonia.Node) (*gorgonia.Node, error) {
	s, err := addSpec("Residual", x, branch)
	if err != nil {
		return nil, err
	}
	if norm != nil && dependsOn(branch, norm) && reads(norm, x) {
		if o, ok := norm.Op().(jointer); ok && o.jointOf() != nil && !o.jointOf().taken {
			j := o.jointOf()
			j.taken = true
			s.elsewhere = []int{0}
			return build(s, residual[float32]{at: j}, residual[float64]{at: j})
		}
	}
	return build(s, add[float32]{}, add[float64]{})
}

// residual is add that hands its gradient to a norm.
type residual[T kernel.Float] struct {
	add[T]
	at *joint
}

func (r residual[T]) join(grad *gorgonia.Node) { r.at.grad = grad }

// tie lets an embedding add its gradient of the table to that of the head h W',
// if h is made of the embedding and w is its table.
func tie[T kernel.Float](node, h, w *gorgonia.Node, head *head[T]) bool {
	if node == nil || !dependsOn(h, node) || !reads(node, w) {
		return false
	}
	o, ok := node.Op().(*forward[T])
	if !ok {
		return false
	}
	e, ok := o.fn.(*embedding[T])
	if !ok || e.head != nil || e.scale != 1 {
		return false
	}
	e.head = head
	return true
}

// reads reports whether x is an operand of n.
func reads(n, x *gorgonia.Node) bool { return slices.Contains(operandsOf(n), x) }

// dependsOn reports whether n is made of x.
func dependsOn(n, x *gorgonia.Node) bool {
	seen := map[*gorgonia.Node]bool{}
	var search func(n *gorgonia.Node) bool
	search = func(n *gorgonia.Node) bool {
		if n == x || seen[n] {
			return n == x
		}
		seen[n] = true
		return slices.ContainsFunc(operandsOf(n), search)
	}
	return search(n)
}

func operandsOf(n *gorgonia.Node) (ns gorgonia.Nodes) {
	for it := n.Graph().From(n.ID()); it.Next(); {
		ns = append(ns, it.Node().(*gorgonia.Node))
	}
	return ns
}
