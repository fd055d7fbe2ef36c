package gptblock

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// TokenEmbedding gives each token its row of a table.
type TokenEmbedding struct {
	Table *graph.Param // (V,C), role TokenEmbedding
	Scale float64      // of the rows, 1 for most models
}

// NewTokenEmbedding creates name.weight (vocab,channels). A nil init means
// graph.Normal(DefaultStd).
func NewTokenEmbedding(ps *graph.Params, name string, vocab, channels int, init graph.Init) (*TokenEmbedding, error) {
	table, err := newTable(ps, name, graph.TokenEmbedding, vocab, channels, init)
	return &TokenEmbedding{Table: table, Scale: 1}, err
}

// Forward maps integer ids (B,T) to (B,T,C). A run with an id outside of the
// vocabulary is an error that names its position and value.
func (e *TokenEmbedding) Forward(ids *gorgonia.Node) (*gorgonia.Node, error) {
	return e.ForwardWith(ids, nil)
}

// ForwardWith is Forward, and adds the embedding of each position, in one op,
// unless p is nil.
func (e *TokenEmbedding) ForwardWith(ids *gorgonia.Node, p *PositionEmbedding) (*gorgonia.Node, error) {
	var positions *gorgonia.Node
	if p != nil {
		positions = p.Table.Node()
	}
	y, err := op.Embedding(ids, e.Table.Node(), positions, e.Scale)
	return y, errors.Wrap(err, e.Table.Name())
}

// PositionEmbedding gives each position its row of a table.
type PositionEmbedding struct {
	Table *graph.Param // (Context,C), role PositionEmbedding
}

// NewPositionEmbedding creates name.weight (context,channels). A nil init means
// graph.Normal(DefaultStd).
func NewPositionEmbedding(ps *graph.Params, name string, context, channels int, init graph.Init) (*PositionEmbedding, error) {
	table, err := newTable(ps, name, graph.PositionEmbedding, context, channels, init)
	return &PositionEmbedding{Table: table}, err
}

// Forward adds row t to each x[b,t] of x (B,T,C).
func (e *PositionEmbedding) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	y, err := op.AddPositions(x, e.Table.Node())
	return y, errors.Wrap(err, e.Table.Name())
}

func newTable(ps *graph.Params, name string, role graph.Role, rows, channels int, init graph.Init) (*graph.Param, error) {
	if init == nil {
		init = graph.Normal(DefaultStd)
	}
	return ps.New(name+".weight", role, tensor.Shape{rows, channels}, init)
}
