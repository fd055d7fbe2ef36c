package graph

import (
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/op"
)

type compileConfig struct {
	forwardOnly bool
	keep        gorgonia.Nodes
}

// CompileOption changes a default of [Compile].
type CompileOption func(*compileConfig)

// ForwardOnly compiles without gradients: for evaluation and sampling.
func ForwardOnly() CompileOption { return func(c *compileConfig) { c.forwardOnly = true } }

// Keep makes the values of nodes readable by [Program.Value] after a run. Other
// intermediate values may be overwritten as soon as they have been used.
func Keep(nodes ...*gorgonia.Node) CompileOption {
	return func(c *compileConfig) { c.keep = append(c.keep, nodes...) }
}

// Compile audits the graph of the cost, adds the gradients of every parameter
// that is not frozen, and builds the machine that runs it. A graph is compiled
// once; share its parameters ([Params.Share]) for a second one. Close the
// program when done.
func Compile(cost *gorgonia.Node, ps *Params, opts ...CompileOption) (*Program, error) {
	if err := Audit(cost, ps); err != nil {
		return nil, err
	}
	var c compileConfig
	for i, o := range opts {
		if o == nil {
			return nil, errors.Errorf("graph: option %d of Compile = nil, want a CompileOption", i)
		}
		o(&c)
	}
	p := &Program{ps: ps, cost: cost, train: !c.forwardOnly, kept: map[*gorgonia.Node]*gorgonia.Value{}}
	for _, n := range ancestors(cost) {
		if isLeaf(n) && ps.byNode[n] == nil && n != ps.clock {
			p.inputs = append(p.inputs, n)
		}
		if w, ok := n.Op().(weigher); ok {
			p.weighed = append(p.weighed, w)
		}
	}
	if p.train {
		if err := p.differentiate(); err != nil {
			return nil, err
		}
	}
	for _, n := range c.keep {
		if n == nil || n.Graph() != ps.g {
			return nil, errors.Errorf("graph: Keep(%v), want a node of the compiled graph", n)
		}
		v := new(gorgonia.Value)
		gorgonia.Read(n, v)
		p.kept[n] = v
	}
	if err := distinctHashes(ps.g); err != nil {
		return nil, err
	}
	if err := p.shareBuffers(); err != nil {
		return nil, err
	}
	prog, locs, err := gorgonia.Compile(ps.g)
	if err != nil {
		return nil, errors.Wrap(err, "graph: compile")
	}
	p.vm = gorgonia.NewTapeMachine(ps.g, gorgonia.WithPrecompiled(prog, locs))
	return p, nil
}

func (p *Program) differentiate() error {
	if !p.cost.IsScalar() {
		return errors.Errorf("graph: cost %s has shape %v, want a scalar", p.cost.Name(), p.cost.Shape())
	}
	trainable := p.ps.Trainable()
	if len(trainable) == 0 {
		return errors.New("graph: no parameter to train, want at least one that is not frozen")
	}
	for _, q := range trainable {
		// A second gradient of one node is computed but never bound to it.
		if q.node.Deriv() != nil {
			return errors.Errorf("graph: parameter %s was differentiated before, want one Compile a graph", q.name)
		}
	}
	if _, err := gorgonia.Grad(p.cost, p.ps.Nodes()...); err != nil {
		return errors.Wrap(err, "graph: gradient")
	}
	p.grads = p.ps.ValueGrads()
	return nil
}

// shareBuffers lets activations and their gradients share memory where their
// lifetimes do not overlap. Gradients of parameters live until the solver has
// read them.
func (p *Program) shareBuffers() error {
	order, err := gorgonia.Sort(p.ps.g) // the order that gorgonia.Compile takes, last node first
	if err != nil {
		return errors.Wrap(err, "graph: sort")
	}
	slices.Reverse(order)
	keep := map[*gorgonia.Node]bool{p.cost: true}
	for _, q := range p.ps.list {
		if d := q.node.Deriv(); d != nil {
			keep[d] = true
		}
	}
	op.ShareBuffers(order, children, keep)
	return nil
}

// distinctHashes guards against Gorgonia's merging of nodes by a 32-bit hash,
// which would drop an op silently.
func distinctHashes(g *gorgonia.ExprGraph) error {
	seen := map[uint32]*gorgonia.Node{}
	for _, n := range g.AllNodes() {
		h := n.Hashcode()
		if m := seen[h]; m != nil && m != n && !isLeaf(n) {
			return errors.Errorf("graph: nodes %v and %v have the same hash, rebuild the graph", m, n)
		}
		seen[h] = n
	}
	return nil
}
