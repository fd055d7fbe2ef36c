package gptblock

import (
	"fmt"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// Model is a GPT: token embedding, blocks, a final norm, and a head that gives
// the logits of the next token.
type Model struct {
	Config    Config // as given to New
	Tokens    *TokenEmbedding
	Positions *PositionEmbedding // nil with RoPE
	Blocks    []*Block
	Norm      Layer
	Head      *graph.Param // (V,C): the token embedding's table if tied

	embedDrop *Dropout
	head      op.HeadOptions
	passes    map[*gorgonia.Node]pass // by ids
}

// pass is a forward pass that the graph has.
type pass struct {
	embedding *gorgonia.Node // (B,T,C), before dropout
	hidden    *gorgonia.Node // (B,T,C)
	routings  []Routing      // of the layers with a mixture of experts
}

// New creates the parameters of a model, in the order of the forward pass. On
// Params without a graph they are only described: a report of any size costs no
// memory for weights.
func New(ps *graph.Params, c Config) (*Model, error) {
	if ps == nil {
		return nil, errors.New("gptblock: New needs Params, got nil")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Config: c, passes: map[*gorgonia.Node]pass{}}
	c = c.withDefaults()
	m.head = op.HeadOptions{
		LossOptions: op.LossOptions{Ignore: IgnoreIndex, ZLoss: c.ZLoss},
		LogitScale:  c.LogitScale, LogitSoftCap: c.LogitSoftCap,
	}
	names := c.Layout.model()
	var err error
	if m.Tokens, err = NewTokenEmbedding(ps, names.tokens, c.Vocab, c.Channels, graph.Normal(c.Init.EmbeddingStd)); err != nil {
		return nil, err
	}
	m.Tokens.Scale = c.EmbeddingScale
	var rope *RoPE
	if c.Position == PositionRoPE {
		rope, err = NewRoPE(c.RoPETheta, false)
	} else {
		m.Positions, err = NewPositionEmbedding(ps, names.positions, c.Context, c.Channels, graph.Normal(c.Init.PositionStd))
	}
	if err != nil {
		return nil, err
	}
	if m.embedDrop, err = NewDropout(ps, names.dropout, c.EmbeddingDropout); err != nil {
		return nil, err
	}
	memory := new(op.MixtureMemory)
	for i := range c.Layers {
		b, err := NewBlock(ps, m.Config, i, rope)
		if err != nil {
			return nil, err
		}
		if mix, ok := b.MLP.(*Mixture); ok {
			mix.memory = memory
		}
		m.Blocks = append(m.Blocks, b)
	}
	if m.Norm, err = newNorm(ps, names.norm, c); err != nil {
		return nil, err
	}
	if c.Tied {
		m.Head, err = m.Tokens.Table, ps.Tie(names.head+".weight", m.Tokens.Table)
	} else {
		m.Head, err = ps.New(names.head+".weight", graph.LMHead, tensor.Shape{c.Vocab, c.Channels}, c.matrixInit(c.Channels))
	}
	return m, err
}

// Hidden is the hidden state of each token after the final norm: integer ids
// (B,T), T at most the context, to (B,T,C).
func (m *Model) Hidden(ids *gorgonia.Node) (*gorgonia.Node, error) {
	if p, ok := m.passes[ids]; ok {
		return p.hidden, nil
	}
	switch {
	case m.Head.Node() == nil:
		return nil, errors.New("gptblock: the model is only described (graph.NewParams(nil)), it has no graph to build on")
	case ids == nil || ids.Dims() != 2:
		return nil, errors.Errorf("gptblock: tokens = %v, want an integer matrix (B,T)", ids)
	case ids.Shape()[1] > m.Config.Context:
		return nil, errors.Errorf("gptblock: T = %d, want T <= %d, the context", ids.Shape()[1], m.Config.Context)
	}
	var f flow
	p := pass{embedding: f.do(m.Tokens.ForwardWith(ids, m.Positions))} // (B,T,C)
	x := f.through(p.embedding, m.embedDrop)
	for i, b := range m.Blocks {
		if f.err != nil {
			break
		}
		forward := func(x *gorgonia.Node) (*gorgonia.Node, error) { return b.Forward(x, ids) }
		if m.Config.Recompute {
			x, f.err = op.Recompute(x, forward)
		} else {
			x, f.err = forward(x)
		}
		f.err = errors.Wrap(f.err, fmt.Sprintf("gptblock: layer %d", i))
		if mix, ok := b.MLP.(*Mixture); ok {
			p.routings = append(p.routings, mix.Routing())
		}
	}
	p.hidden = f.through(x, m.Norm)
	if f.err == nil {
		m.passes[ids] = p
	}
	return p.hidden, f.err
}

// Loss is the mean cross-entropy of the logits of ids (B,T) against targets
// (B,T), the tokens that follow: a scalar. Positions whose target is
// [IgnoreIndex] do not count. The logits of all positions never exist at once.
// The config's RouterLossCoef times the [BalanceLoss] of all layers, over all
// positions, is added.
func (m *Model) Loss(ids, targets *gorgonia.Node) (*gorgonia.Node, error) {
	h, err := m.Hidden(ids)
	if err != nil {
		return nil, err
	}
	var f flow
	head := m.head
	if m.Config.Tied {
		head.Embedding = m.passes[ids].embedding
	}
	loss := f.do(op.LinearCrossEntropy(h, m.Head.Node(), targets, head))
	if coef := m.Config.RouterLossCoef; coef > 0 {
		var logits gorgonia.Nodes
		for _, r := range m.passes[ids].routings {
			logits = append(logits, r.Logits)
		}
		balance := f.do(BalanceLoss(m.Config.TopK, logits...))
		loss = f.do(op.Add(loss, f.do(op.Scale(balance, coef))))
	}
	return loss, f.err
}

// RouterStats is what the router of each layer did in the last run with ids, a
// node that Hidden, Loss or Logits was called for; nil if there are no experts.
func (m *Model) RouterStats(ids *gorgonia.Node) []RouterStats {
	var stats []RouterStats
	for _, r := range m.passes[ids].routings {
		stats = append(stats, r.Stats())
	}
	return stats
}

// Logits of the token after each of ids (B,T): (B,T,V).
func (m *Model) Logits(ids *gorgonia.Node) (*gorgonia.Node, error) {
	h, err := m.Hidden(ids)
	if err != nil {
		return nil, err
	}
	z, err := op.Linear(h, m.Head.Node(), nil, op.LinearOptions{OutIn: true}) // (B,T,V)
	if err == nil && m.head.LogitScale != 1 {
		z, err = op.Scale(z, m.head.LogitScale)
	}
	if err == nil && m.head.LogitSoftCap > 0 {
		z, err = op.SoftCap(z, m.head.LogitSoftCap)
	}
	return z, err
}
