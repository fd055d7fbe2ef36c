package gptblock

import (
	"fmt"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
)

// Mixture is a mixture of experts in the place of an MLP: a router chooses TopK
// gated MLPs for each token.
type Mixture struct {
	Router  *Linear // (E,C)
	Experts []Expert
}

// Expert is one gated MLP of a [Mixture]: Down(act(Gate(x)) Up(x)).
type Expert struct{ Gate, Up, Down *Linear }

// newMixture creates name.gate.weight, the router, and the experts'
// name.experts.0.w1.weight (gate), w3 (up) and w2 (down).
func newMixture(ps *graph.Params, name string, c Config) (*Mixture, error) {
	m := &Mixture{}
	opts := LinearOptions{OutIn: true, Init: c.matrixInit(c.Channels)}
	var err error
	if m.Router, err = NewLinear(ps, name+".gate", graph.RouterWeight, c.Channels, c.Experts, opts); err != nil {
		return nil, err
	}
	down := LinearOptions{OutIn: true, Init: c.residualInit(c.Hidden)}
	for i := range c.Experts {
		var e Expert
		p := fmt.Sprintf("%s.experts.%d.", name, i)
		if e.Gate, err = NewLinear(ps, p+"w1", graph.ExpertGate, c.Channels, c.Hidden, opts); err != nil {
			return nil, err
		}
		if e.Up, err = NewLinear(ps, p+"w3", graph.ExpertUp, c.Channels, c.Hidden, opts); err != nil {
			return nil, err
		}
		if e.Down, err = NewLinear(ps, p+"w2", graph.ExpertDown, c.Hidden, c.Channels, down); err != nil {
			return nil, err
		}
		m.Experts = append(m.Experts, e)
	}
	return m, nil
}

// Forward is not there yet: a mixture can only be described.
func (m *Mixture) Forward(*gorgonia.Node) (*gorgonia.Node, error) {
	return nil, errors.Errorf("gptblock: %s: a mixture of experts can only be described", m.Router.Weight.Name())
}
