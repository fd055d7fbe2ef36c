package gptblock

import (
	"fmt"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// MixtureOptions are the variants of [NewMixture]. Experts and TopK must be
// set; the zero value of the others is Mixtral's choice.
type MixtureOptions struct {
	Experts    int
	TopK       int        // experts for each token
	Router     Router     // "" means RouterTopKSoftmax
	Activation Activation // SwiGLU or GeGLU; "" means SwiGLU
	Init       graph.Init // of the matrices; nil means graph.Normal(DefaultStd)
	OutInit    graph.Init // of the last matrix of each expert; nil means Init
}

// Mixture is a sparse mixture of experts in the place of an MLP (Shazeer et al.
// 2017, arXiv:1701.06538): a router chooses TopK gated MLPs for each token and
// weighs their results. A token costs its own experts only.
type Mixture struct {
	Router  *Linear // (E,C)
	Experts []Expert
	o       MixtureOptions
	memory  *op.MixtureMemory // one for all layers of a model, nil alone
	routing Routing           // of the last Forward
}

// Expert is one gated MLP of a [Mixture]: Down(act(Gate(x)) Up(x)).
type Expert struct{ Gate, Up, Down *Linear }

// NewMixture creates name.gate.weight (experts,channels), the router, and for
// each expert of width hidden name.experts.0.w1.weight (its gate), w3 (up) and
// w2 (down), as Mixtral's checkpoints name them; all are stored (Out,In).
func NewMixture(ps *graph.Params, name string, channels, hidden int, o MixtureOptions) (*Mixture, error) {
	if o.Router == "" {
		o.Router = RouterTopKSoftmax
	}
	if o.Activation == "" {
		o.Activation = SwiGLU
	}
	if o.OutInit == nil {
		o.OutInit = o.Init
	}
	switch {
	case o.Experts < 1:
		return nil, errors.Errorf("gptblock: %s: experts = %d, want at least 1", name, o.Experts)
	case o.TopK < 1 || o.TopK > o.Experts:
		return nil, errors.Errorf("gptblock: %s: top-k = %d, want 1 to experts = %d", name, o.TopK, o.Experts)
	case !o.Router.valid():
		return nil, errors.Errorf("gptblock: %s: router = %q, want %q or %q", name, o.Router, RouterTopKSoftmax, RouterSoftmaxTopK)
	case !o.Activation.Gated():
		return nil, errors.Errorf("gptblock: %s: activation = %q, want %q or %q", name, o.Activation, SwiGLU, GeGLU)
	}
	m := &Mixture{o: o}
	in := LinearOptions{OutIn: true, Init: o.Init}
	out := LinearOptions{OutIn: true, Init: o.OutInit}
	var err error
	if m.Router, err = NewLinear(ps, name+".gate", graph.RouterWeight, channels, o.Experts, in); err != nil {
		return nil, err
	}
	for i := range o.Experts {
		var e Expert
		p := fmt.Sprintf("%s.experts.%d.", name, i)
		if e.Gate, err = NewLinear(ps, p+"w1", graph.ExpertGate, channels, hidden, in); err != nil {
			return nil, err
		}
		if e.Up, err = NewLinear(ps, p+"w3", graph.ExpertUp, channels, hidden, in); err != nil {
			return nil, err
		}
		if e.Down, err = NewLinear(ps, p+"w2", graph.ExpertDown, hidden, channels, out); err != nil {
			return nil, err
		}
		m.Experts = append(m.Experts, e)
	}
	return m, nil
}

// Forward maps x (...,C) to (...,C).
func (m *Mixture) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	experts := make([]op.Expert, len(m.Experts))
	for i, e := range m.Experts {
		experts[i] = op.Expert{Gate: e.Gate.Weight.Node(), Up: e.Up.Weight.Node(), Down: e.Down.Weight.Node()}
	}
	var f flow
	var r Routing
	r.Logits = f.through(x, m.Router) // (...,E)
	r.Gates = f.do(op.Route(r.Logits, op.RouteOptions{TopK: m.o.TopK, Renormalize: m.o.Router == RouterTopKSoftmax}))
	y := f.do(op.Mixture(x, r.Gates, experts, op.MixtureOptions{GeGLU: m.o.Activation == GeGLU, Memory: m.memory}))
	m.routing = r
	return y, errors.Wrap(f.err, m.Router.Weight.Name())
}

// Routing is how the router treats the input of the last Forward.
func (m *Mixture) Routing() Routing { return m.routing }

// Routing is how the router of a [Mixture] treats one input.
type Routing struct {
	Logits *gorgonia.Node // (...,E)
	Gates  *gorgonia.Node // (...,E) weights of the experts' results, 0 for those not chosen
}

// RouterStats is what a router did in one run. It is empty before the first.
type RouterStats struct {
	Tokens      []int     // by expert: tokens that chose it; they sum to TopK times the number of tokens
	Probability []float64 // by expert: mean over the tokens of the softmax over all experts
	Entropy     float64   // of that softmax in nats, mean over the tokens: 0 is certain, log(E) undecided
}

// Stats looks at the last run of the graph. It counts when called and costs
// nothing before.
func (r Routing) Stats() RouterStats {
	return RouterStats(r.Gates.Op().(interface{ RouterStats() op.RouterStats }).RouterStats())
}
