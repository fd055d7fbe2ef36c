package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Params is the ordered registry of the parameters of one graph. Names are
// unique. It is not safe for concurrent use.
type Params struct {
	g      *gorgonia.ExprGraph
	dtype  tensor.Dtype
	seed   uint64
	noInit bool

	list   []*Param
	byName map[string]*Param         // names and aliases
	byNode map[*gorgonia.Node]*Param // nil-graph Params leave it empty
	inputs map[*gorgonia.Node]bool   // float inputs that are data
	clock  *gorgonia.Node
	from   *Params // Share: where the tensors come from
}

// ParamsOption changes a default of [NewParams].
type ParamsOption func(*Params) error

// WithDtype sets the element type of parameters that New creates:
// tensor.Float32 (the default) or tensor.Float64.
func WithDtype(dt tensor.Dtype) ParamsOption {
	return func(ps *Params) error {
		if dt != tensor.Float32 && dt != tensor.Float64 {
			return errors.Errorf("graph: dtype = %v, want float32 or float64", dt)
		}
		ps.dtype = dt
		return nil
	}
}

// WithSeed sets the seed of initial values and of dropout. The default is 0.
func WithSeed(seed uint64) ParamsOption {
	return func(ps *Params) error { ps.seed = seed; return nil }
}

// WithoutInit leaves new parameters zero, for a model whose weights are loaded.
func WithoutInit() ParamsOption {
	return func(ps *Params) error { ps.noInit = true; return nil }
}

// NewParams makes an empty registry for g. With a nil graph parameters are
// only described (name, role, shape): a report of any model size costs no
// memory for weights.
func NewParams(g *gorgonia.ExprGraph, opts ...ParamsOption) (*Params, error) {
	ps := &Params{
		g: g, dtype: tensor.Float32,
		byName: map[string]*Param{},
		byNode: map[*gorgonia.Node]*Param{},
		inputs: map[*gorgonia.Node]bool{},
	}
	for i, o := range opts {
		if o == nil {
			return nil, errors.Errorf("graph: option %d of NewParams = nil, want a ParamsOption", i)
		}
		if err := o(ps); err != nil {
			return nil, err
		}
	}
	return ps, nil
}

// Share makes a registry for another graph whose New hands out the tensors of
// ps: an evaluation graph, or a graph for another batch shape, that sees every
// update at once. New then ignores its init and refuses what ps does not have.
func (ps *Params) Share(g *gorgonia.ExprGraph) (*Params, error) {
	if g == nil || ps.g == nil {
		return nil, errors.New("graph: Share needs a graph on both sides, got nil")
	}
	if g == ps.g {
		return nil, errors.New("graph: Share onto the same graph, want another one")
	}
	s, err := NewParams(g)
	if err != nil {
		return nil, err
	}
	s.dtype, s.seed, s.from = ps.dtype, ps.seed, ps
	return s, nil
}

// New creates a parameter: a leaf node of the given name and shape, bound to a
// fresh tensor that init fills (nil: zeros).
func (ps *Params) New(name string, role Role, shape tensor.Shape, init Init) (*Param, error) {
	if ps == nil {
		return nil, errors.Errorf("graph: parameter %s of nil Params, want those of NewParams", name)
	}
	p := &Param{name: name, role: role, shape: shape.Clone(), dtype: ps.dtype}
	if err := ps.check(p); err != nil {
		return nil, err
	}
	if len(shape) == 0 {
		return nil, errors.Errorf("graph: parameter %s has shape (), want at least one dimension", name)
	}
	if ps.g == nil {
		ps.add(p)
		return p, nil
	}
	value, err := ps.tensorFor(p, init)
	if err != nil {
		return nil, err
	}
	p.node = gorgonia.NewTensor(ps.g, ps.dtype, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	if err := gorgonia.Let(p.node, value); err != nil {
		return nil, errors.Wrapf(err, "graph: parameter %s", name)
	}
	ps.add(p)
	return p, nil
}

// tensorFor is the shared tensor, or a new one filled by init.
func (ps *Params) tensorFor(p *Param, init Init) (gorgonia.Value, error) {
	if ps.from != nil {
		src := ps.from.Get(p.name)
		switch {
		case src == nil:
			return nil, errors.Errorf("graph: parameter %s is not in the registry that is shared", p.name)
		case src.role != p.role || !src.shape.Eq(p.shape):
			return nil, errors.Errorf("graph: parameter %s is %v %v here, want %v %v as in the registry that is shared", p.name, p.role, p.shape, src.role, src.shape)
		}
		p.frozen = src.frozen
		return src.Value(), nil
	}
	d := tensor.New(tensor.Of(ps.dtype), tensor.WithShape(p.shape...))
	if init == nil || ps.noInit {
		return d, nil
	}
	if rng := newRNG(ps.seed, p.name); ps.dtype == tensor.Float32 {
		fill(d.Float32s(), init, rng)
	} else {
		fill(d.Float64s(), init, rng)
	}
	return d, nil
}

// Adopt registers a leaf node that the user made, under the node's name. The
// node must have a value by the time the graph runs.
func (ps *Params) Adopt(n *gorgonia.Node, role Role) (*Param, error) {
	switch {
	case n == nil:
		return nil, errors.New("graph: Adopt(nil), want a node")
	case ps.g == nil || n.Graph() != ps.g:
		return nil, errors.Errorf("graph: node %s belongs to another graph than these Params", n.Name())
	case n.Op() != nil:
		return nil, errors.Errorf("graph: node %s is the result of %v, want an input", n.Name(), n.Op())
	case n.Dtype() != tensor.Float32 && n.Dtype() != tensor.Float64:
		return nil, errors.Errorf("graph: parameter %s has dtype %v, want float32 or float64", n.Name(), n.Dtype())
	case ps.byNode[n] != nil:
		return nil, errors.Wrapf(ErrDuplicate, "graph: parameter %s is registered already", n.Name())
	case ps.inputs[n]:
		return nil, errors.Errorf("graph: %s was declared as data, it cannot be a parameter too", n.Name())
	}
	p := &Param{name: n.Name(), role: role, shape: n.Shape().Clone(), dtype: n.Dtype(), node: n}
	if err := ps.check(p); err != nil {
		return nil, err
	}
	ps.add(p)
	return p, nil
}

// Tie declares that the model uses p under another name too (an output head
// that is the token embedding). A tied parameter has one tensor, one gradient,
// one group and one optimizer state.
func (ps *Params) Tie(alias string, p *Param) error {
	if p == nil {
		return errors.Errorf("graph: Tie(%q, nil), want a parameter", alias)
	}
	if ps.byName[p.name] != p {
		return errors.Errorf("graph: parameter %s is not in this registry", p.name)
	}
	if alias == "" {
		return errors.Errorf("graph: alias of %s = \"\", want a name", p.name)
	}
	if ps.byName[alias] != nil {
		return errors.Wrapf(ErrDuplicate, "graph: alias %s of %s", alias, p.name)
	}
	p.aliases = append(p.aliases, alias)
	ps.byName[alias] = p
	return nil
}

// Freeze declares that the named parameter is not trained: it gets no
// gradient, no group and no decay. Call it before Compile.
func (ps *Params) Freeze(name string) error {
	p := ps.byName[name]
	if p == nil {
		return errors.Errorf("graph: Freeze(%q): no such parameter", name)
	}
	p.frozen = true
	return nil
}

// Input declares float leaves that are data (features, regression targets), so
// that [Audit] does not take them for forgotten parameters.
func (ps *Params) Input(nodes ...*gorgonia.Node) error {
	for _, n := range nodes {
		if n == nil || n.Graph() != ps.g || n.Op() != nil {
			return errors.Errorf("graph: Input(%v), want a leaf of this graph", n)
		}
		if p := ps.byNode[n]; p != nil {
			return errors.Errorf("graph: %s is a parameter, it cannot be data too", p.name)
		}
		ps.inputs[n] = true
	}
	return nil
}

// check refuses what no parameter may be.
func (ps *Params) check(p *Param) error {
	if p.name == "" {
		return errors.Errorf("graph: parameter with role %v and shape %v has no name", p.role, p.shape)
	}
	if !p.role.Valid() {
		return errors.Wrapf(ErrRoleUnset, "graph: parameter %s", p.name)
	}
	if ps.byName[p.name] != nil {
		return errors.Wrapf(ErrDuplicate, "graph: parameter %s", p.name)
	}
	for _, d := range p.shape {
		if d <= 0 {
			return errors.Errorf("graph: parameter %s has shape %v, want positive dimensions", p.name, p.shape)
		}
	}
	if c := p.role.Class(); (c == ClassMatrix || c == ClassEmbedding) && len(p.shape) < 2 {
		return errors.Errorf("graph: parameter %s has role %v and shape %v, want at least 2 dimensions for that role", p.name, p.role, p.shape)
	}
	// Gorgonia merges leaves of equal name, type and shape into one node.
	if p.node == nil && ps.g != nil && len(ps.g.ByName(p.name)) > 0 {
		return errors.Wrapf(ErrDuplicate, "graph: parameter %s: the graph has a node of that name", p.name)
	}
	return nil
}

func (ps *Params) add(p *Param) {
	ps.list = append(ps.list, p)
	ps.byName[p.name] = p
	if p.node != nil {
		ps.byNode[p.node] = p
	}
}

// Graph is the graph of the parameters, nil if they are only described.
func (ps *Params) Graph() *gorgonia.ExprGraph { return ps.g }

// Dtype of the parameters that New creates.
func (ps *Params) Dtype() tensor.Dtype { return ps.dtype }

// Seed of initial values and dropout.
func (ps *Params) Seed() uint64 { return ps.seed }

// All lists the parameters in order of registration. The caller must not
// change the slice.
func (ps *Params) All() []*Param { return ps.list }

// Trainable lists the parameters that are not frozen, in order.
func (ps *Params) Trainable() []*Param {
	out := make([]*Param, 0, len(ps.list))
	for _, p := range ps.list {
		if !p.frozen {
			out = append(out, p)
		}
	}
	return out
}

// Get finds a parameter by name or alias, nil if there is none.
func (ps *Params) Get(name string) *Param { return ps.byName[name] }

// Of finds the parameter of a node, nil if the node is none.
func (ps *Params) Of(n *gorgonia.Node) *Param { return ps.byNode[n] }

// Len is the number of parameters (tensors).
func (ps *Params) Len() int { return len(ps.list) }

// Size is the number of elements of all parameters together.
func (ps *Params) Size() int {
	n := 0
	for _, p := range ps.list {
		n += p.Size()
	}
	return n
}

// Nodes lists the leaves of the trainable parameters, for gorgonia.Grad and
// gorgonia.BindDualValues in a program of the user's own.
func (ps *Params) Nodes() gorgonia.Nodes {
	ns := make(gorgonia.Nodes, 0, len(ps.list))
	for _, p := range ps.Trainable() {
		ns = append(ns, p.node)
	}
	return ns
}

// ValueGrads lists the trainable parameters for a solver's Step.
func (ps *Params) ValueGrads() []gorgonia.ValueGrad {
	vs := make([]gorgonia.ValueGrad, 0, len(ps.list))
	for _, p := range ps.Trainable() {
		vs = append(vs, p)
	}
	return vs
}
