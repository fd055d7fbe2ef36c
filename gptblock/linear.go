package gptblock

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// DefaultStd is the standard deviation of initial weights where a layer is not
// given an Init: GPT-2's.
const DefaultStd = 0.02

// LinearOptions are the variants of [NewLinear]. The zero value is a layer
// without bias whose weight is stored (In,Out).
type LinearOptions struct {
	Bias        bool
	OutIn       bool       // store the weight (Out,In), as torch.nn.Linear does, not (In,Out) as GPT-2's Conv1D
	Init        graph.Init // of the weight; nil means graph.Normal(DefaultStd)
	NoInputGrad bool       // the input is data, which needs no gradient
}

// Linear is y = x W + b.
type Linear struct {
	Weight *graph.Param // (In,Out), or (Out,In)
	Bias   *graph.Param // (Out), nil without
	o      LinearOptions
}

// NewLinear creates name.weight in the given role, and name.bias, which starts
// at zero, in the role Bias.
func NewLinear(ps *graph.Params, name string, role graph.Role, in, out int, o LinearOptions) (*Linear, error) {
	if o.Init == nil {
		o.Init = graph.Normal(DefaultStd)
	}
	shape := tensor.Shape{in, out}
	if o.OutIn {
		shape = tensor.Shape{out, in}
	}
	l := &Linear{o: o}
	var err error
	if l.Weight, err = ps.New(name+".weight", role, shape, o.Init); err != nil {
		return nil, err
	}
	if o.Bias {
		l.Bias, err = ps.New(name+".bias", graph.Bias, tensor.Shape{out}, nil)
	}
	return l, err
}

// Forward maps x (...,In) to (...,Out).
func (l *Linear) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	return linears(x, l)
}

// linears is the results of layers that are alike side by side, in one op:
// (...,In) to (...,Out1+Out2+...).
func linears(x *gorgonia.Node, layers ...*Linear) (*gorgonia.Node, error) {
	var ws, bs gorgonia.Nodes
	for _, l := range layers {
		ws = append(ws, l.Weight.Node())
		if l.Bias != nil {
			bs = append(bs, l.Bias.Node())
		}
	}
	o := layers[0].o
	y, err := op.Linears(x, ws, bs, op.LinearOptions{OutIn: o.OutIn, NoInputGrad: o.NoInputGrad})
	return y, errors.Wrap(err, layers[0].Weight.Name())
}

// node is the node of a parameter that may be absent.
func node(p *graph.Param) *gorgonia.Node {
	if p == nil {
		return nil
	}
	return p.Node()
}
