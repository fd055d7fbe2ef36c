package gptblock

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// Activation is the nonlinearity of an MLP.
type Activation string

// The activations. A gated one has a third matrix.
const (
	GELU    Activation = "gelu"     // tanh form, GPT-2's (Hendrycks and Gimpel 2016, arXiv:1606.08415)
	GELUErf Activation = "gelu_erf" // x Phi(x), nanoGPT's
	SwiGLU  Activation = "swiglu"   // SiLU(gate) up, LLaMA's and PaLM's (Shazeer 2020, arXiv:2002.05202)
	GeGLU   Activation = "geglu"    // GELU(gate) up, tanh form, Grok-1's (Shazeer 2020, arXiv:2002.05202)
)

// Gated reports whether a multiplies a gate with a value.
func (a Activation) Gated() bool { return a == SwiGLU || a == GeGLU }

func (a Activation) valid() bool { return a == GELU || a == GELUErf || a.Gated() }

// MLPOptions are the variants of [NewMLP].
type MLPOptions struct {
	Activation Activation // "" means GELU
	Bias       bool
	Layout     Layout     // of names and weights; "" means LayoutGPT2
	Init       graph.Init // of the matrices; nil means graph.Normal(DefaultStd)
	OutInit    graph.Init // of the last matrix; nil means Init
}

// MLP is the feed-forward layer of a block: down(act(up(x))), or, gated,
// down(act(gate(x)) up(x)).
type MLP struct {
	Up, Down *Linear
	Gate     *Linear // nil unless the activation is gated
	act      Activation
}

// NewMLP creates the matrices between channels and hidden: name.c_fc and
// name.c_proj in GPT-2's layout, name.up_proj, name.down_proj and, gated,
// name.gate_proj in LLaMA's.
func NewMLP(ps *graph.Params, name string, channels, hidden int, o MLPOptions) (*MLP, error) {
	if o.Activation == "" {
		o.Activation = GELU
	}
	if o.OutInit == nil {
		o.OutInit = o.Init
	}
	if !o.Activation.valid() {
		return nil, errors.Errorf("gptblock: %s: activation = %q, want %q, %q, %q or %q", name, o.Activation, GELU, GELUErf, SwiGLU, GeGLU)
	}
	m := &MLP{act: o.Activation}
	opts := LinearOptions{Bias: o.Bias, OutIn: o.Layout.outIn(), Init: o.Init}
	names := o.Layout.mlp(name + ".")
	var err error
	if o.Activation.Gated() {
		if m.Gate, err = NewLinear(ps, names.gate, graph.GateWeight, channels, hidden, opts); err != nil {
			return nil, err
		}
	}
	if m.Up, err = NewLinear(ps, names.up, graph.UpWeight, channels, hidden, opts); err != nil {
		return nil, err
	}
	opts.Init = o.OutInit
	m.Down, err = NewLinear(ps, names.down, graph.DownWeight, hidden, channels, opts)
	return m, err
}

// Forward maps x (...,C) to (...,C).
func (m *MLP) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	var f flow
	var h *gorgonia.Node
	if m.Gate != nil {
		h = f.do(linears(x, m.Gate, m.Up)) // (...,2F)
	} else {
		h = f.do(m.Up.Forward(x)) // (...,F)
	}
	switch m.act {
	case GELU:
		h = f.do(op.GELUTanh(h))
	case GELUErf:
		h = f.do(op.GELUErf(h))
	case SwiGLU:
		h = f.do(op.SwiGLU(h))
	case GeGLU:
		h = f.do(op.GeGLU(h))
	} // (...,F)
	y := f.through(h, m.Down) // (...,C)
	return y, f.err
}
