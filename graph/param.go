package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Param is one parameter: a named leaf of the graph with a role. It is a
// gorgonia.ValueGrad, so a solver takes it as it is.
type Param struct {
	name    string
	role    Role
	shape   tensor.Shape
	dtype   tensor.Dtype
	node    *gorgonia.Node // nil in a Params without a graph
	aliases []string
	frozen  bool

	// Set by a Program: where the gradient of the last step is, when it is
	// not the buffer that the graph itself computed.
	grad      gorgonia.Value
	transient bool
}

// Name is the parameter's unique name, Hugging Face's where one exists.
func (p *Param) Name() string { return p.name }

// Role says what the parameter is.
func (p *Param) Role() Role { return p.role }

// Shape of the parameter; () for a scalar. The caller must not change it.
func (p *Param) Shape() tensor.Shape { return p.shape }

// Dtype is tensor.Float32 or tensor.Float64.
func (p *Param) Dtype() tensor.Dtype { return p.dtype }

// Size is the number of elements.
func (p *Param) Size() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

// Node is the graph's leaf, nil for a parameter that is only described
// (NewParams(nil)).
func (p *Param) Node() *gorgonia.Node { return p.node }

// Aliases are the other names under which the model uses this tensor, as
// declared by [Params.Tie].
func (p *Param) Aliases() []string { return p.aliases }

// Frozen reports whether the parameter was declared not to be trained.
func (p *Param) Frozen() bool { return p.frozen }

// Value is the tensor that holds the parameter, nil if it is only described.
func (p *Param) Value() gorgonia.Value {
	if p.node == nil {
		return nil
	}
	return p.node.Value()
}

// Grad is the gradient of the last run. It is (nil, nil) before the first.
func (p *Param) Grad() (gorgonia.Value, error) {
	if p.grad != nil {
		return p.grad, nil
	}
	if p.node == nil {
		return nil, errors.Errorf("graph: parameter %s is only described, it has no gradient", p.name)
	}
	return p.node.Grad()
}

// GradIsTransient reports that the next run overwrites the gradient, so that
// a solver need not zero it: a write pass over all gradients saved. It is true
// while a [Program] hands the gradients over.
func (p *Param) GradIsTransient() bool { return p.transient }
