package gptblock

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// Block is one layer of a model: attention and an MLP, each a branch of the
// residual stream.
type Block struct {
	Kind     BlockKind
	AttnNorm Layer
	Attn     *CausalSelfAttention
	AttnPost Layer // after attention; nil unless Kind is BlockSandwich
	MLPNorm  Layer // nil if Kind is BlockParallel
	MLP      Layer
	MLPPost  Layer // after the MLP; nil unless Kind is BlockSandwich

	attnDrop, mlpDrop []Layer // at the end of the branches
}

// NewBlock creates the parameters of layer i of a model. RoPE is shared by all
// layers, nil if the config has none.
func NewBlock(ps *graph.Params, c Config, i int, rope *RoPE) (*Block, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if i < 0 || i >= c.Layers {
		return nil, errors.Errorf("gptblock: layer = %d, want 0 <= layer < %d", i, c.Layers)
	}
	names := c.Layout.block(i, c.Block)
	b := &Block{Kind: c.Block}
	var err error
	if b.AttnNorm, err = newNorm(ps, names.attnNorm, c); err != nil {
		return nil, err
	}
	in := c.Heads * c.HeadSize
	b.Attn, err = NewCausalSelfAttention(ps, names.attn, c.Channels, AttentionOptions{
		Heads: c.Heads, KVHeads: c.KVHeads, HeadSize: c.HeadSize,
		Scale: c.AttentionScale, Window: c.window(i), SoftCap: c.AttentionSoftCap, RoPE: rope,
		Dropout: c.AttentionDropout, PadToken: c.PadToken, Bias: c.Bias, Layout: c.Layout,
		Init: c.matrixInit(c.Channels), OutInit: c.residualInit(in),
	})
	if err != nil {
		return nil, err
	}
	if c.Block == BlockSandwich {
		if b.AttnPost, err = newNorm(ps, names.attnPost, c); err != nil {
			return nil, err
		}
	}
	if c.Block != BlockParallel {
		if b.MLPNorm, err = newNorm(ps, names.mlpNorm, c); err != nil {
			return nil, err
		}
	}
	b.MLP, err = newMLP(ps, names, c)
	if err != nil {
		return nil, err
	}
	if c.Block == BlockSandwich {
		if b.MLPPost, err = newNorm(ps, names.mlpPost, c); err != nil {
			return nil, err
		}
	}
	depth := c.StochasticDepth * float64(i+1) / float64(c.Layers)
	if b.attnDrop, err = branchEnd(ps, names.attn, c.ResidualDropout, depth); err != nil {
		return nil, err
	}
	b.mlpDrop, err = branchEnd(ps, names.mlp, c.ResidualDropout, depth)
	return b, err
}

// newMLP is the MLP of a block, or the mixture of experts in its place.
func newMLP(ps *graph.Params, names blockNames, c Config) (Layer, error) {
	if c.Experts > 0 {
		return NewMixture(ps, names.mixture, c.Channels, c.Hidden, MixtureOptions{
			Experts: c.Experts, TopK: c.TopK, Router: c.Router, Activation: c.Activation,
			Init: c.matrixInit(c.Channels), OutInit: c.residualInit(c.Hidden),
		})
	}
	return NewMLP(ps, names.mlp, c.Channels, c.Hidden, MLPOptions{
		Activation: c.Activation, Bias: c.Bias, Layout: c.Layout,
		Init: c.matrixInit(c.Channels), OutInit: c.residualInit(c.Hidden),
	})
}

// branchEnd is dropout and stochastic depth at the end of a branch.
func branchEnd(ps *graph.Params, name string, p, depth float64) ([]Layer, error) {
	drop, err := NewDropout(ps, name+".resid_dropout", p)
	if err != nil {
		return nil, err
	}
	path, err := NewStochasticDepth(ps, name+".drop_path", depth)
	return []Layer{drop, path}, err
}

func newNorm(ps *graph.Params, name string, c Config) (Layer, error) {
	if c.Norm == NormRMS {
		return NewRMSNorm(ps, name, c.Channels, c.NormEps)
	}
	return NewLayerNorm(ps, name, c.Channels, c.NormEps, c.NormBias)
}

// matrixInit is the init of a matrix of n inputs.
func (c Config) matrixInit(n int) graph.Init {
	if c.Init.FanIn {
		return graph.Normal(1 / math.Sqrt(float64(n)))
	}
	return graph.Normal(c.Init.Std)
}

// residualInit is the init of the last matrix of a branch, of n inputs.
func (c Config) residualInit(n int) graph.Init {
	std := c.Init.Std
	if c.Init.FanIn {
		std = 1 / math.Sqrt(float64(n))
	}
	if c.Init.ScaleResidual {
		std /= math.Sqrt(2 * float64(c.Layers))
	}
	return graph.Normal(std)
}

// Forward maps x (B,T,C) to (B,T,C). ids (B,T) are the tokens, which only a
// config with a PadToken needs.
func (b *Block) Forward(x, ids *gorgonia.Node) (*gorgonia.Node, error) {
	var f flow
	n := f.through(x, b.AttnNorm)
	a := f.through(f.attend(b.Attn, n, ids), b.AttnPost)
	a = f.through(a, b.attnDrop...)
	if b.Kind == BlockParallel {
		m := f.through(f.through(n, b.MLP), b.mlpDrop...)
		return f.do(op.Add(f.residual(x, m, n), a)), f.err
	}
	x = f.residual(x, a, n)
	n = f.through(x, b.MLPNorm)
	m := f.through(n, b.MLP, b.MLPPost)
	x = f.residual(x, f.through(m, b.mlpDrop...), n)
	return x, f.err
}

func (f *flow) attend(a *CausalSelfAttention, x, ids *gorgonia.Node) *gorgonia.Node {
	if f.err != nil {
		return nil
	}
	return f.do(a.ForwardTokens(x, ids))
}
