package gptblock

import (
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/op"
)

// Layer maps activations to activations.
type Layer interface {
	// Forward adds the layer's nodes to the graph of x and returns its result.
	Forward(x *gorgonia.Node) (*gorgonia.Node, error)
}

// Residual is x + branch, of equal shapes.
func Residual(x, branch *gorgonia.Node) (*gorgonia.Node, error) { return op.Add(x, branch) }

// flow builds a chain of nodes and remembers the first error, so that a
// forward pass reads as its formula. After an error every step gives nil.
type flow struct{ err error }

// do is the result of a step that the caller has made.
func (f *flow) do(n *gorgonia.Node, err error) *gorgonia.Node {
	if f.err != nil {
		return nil
	}
	if f.err = err; err != nil {
		return nil
	}
	return n
}

// through sends x through layers, of which some may be nil.
func (f *flow) through(x *gorgonia.Node, layers ...Layer) *gorgonia.Node {
	for _, l := range layers {
		if f.err != nil {
			return nil
		}
		if l != nil {
			x = f.do(l.Forward(x))
		}
	}
	return x
}

// residual is x + branch, a branch that begins with norm.
func (f *flow) residual(x, branch, norm *gorgonia.Node) *gorgonia.Node {
	if f.err != nil {
		return nil
	}
	return f.do(op.Residual(x, branch, norm))
}
