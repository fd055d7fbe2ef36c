package gptblock

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// LayerNorm is y = (x - mean)/sqrt(var + eps) gain + bias over the channels
// (Ba, Kiros and Hinton 2016, arXiv:1607.06450).
type LayerNorm struct {
	Gain *graph.Param // (C), role NormGain
	Bias *graph.Param // (C), role NormBias; nil without
	eps  float64
}

// NewLayerNorm creates name.weight, which starts at one, and, if wanted,
// name.bias, which starts at zero. eps is commonly 1e-5.
func NewLayerNorm(ps *graph.Params, name string, channels int, eps float64, bias bool) (*LayerNorm, error) {
	gain, err := ps.New(name+".weight", graph.NormGain, tensor.Shape{channels}, graph.Constant(1))
	if err != nil {
		return nil, err
	}
	l := &LayerNorm{Gain: gain, eps: eps}
	if bias {
		l.Bias, err = ps.New(name+".bias", graph.NormBias, tensor.Shape{channels}, nil)
	}
	return l, err
}

// Forward normalizes the last dimension of x (...,C).
func (l *LayerNorm) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	y, err := op.LayerNorm(x, l.Gain.Node(), node(l.Bias), l.eps)
	return y, errors.Wrap(err, l.Gain.Name())
}

// RMSNorm is y = x/sqrt(mean(x^2) + eps) gain over the channels (Zhang and
// Sennrich 2019, arXiv:1910.07467).
type RMSNorm struct {
	Gain *graph.Param // (C), role NormGain
	eps  float64
}

// NewRMSNorm creates name.weight, which starts at one. eps is commonly 1e-5 or
// 1e-6.
func NewRMSNorm(ps *graph.Params, name string, channels int, eps float64) (*RMSNorm, error) {
	gain, err := ps.New(name+".weight", graph.NormGain, tensor.Shape{channels}, graph.Constant(1))
	return &RMSNorm{Gain: gain, eps: eps}, err
}

// Forward normalizes the last dimension of x (...,C).
func (l *RMSNorm) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	y, err := op.RMSNorm(x, l.Gain.Node(), l.eps)
	return y, errors.Wrap(err, l.Gain.Name())
}
