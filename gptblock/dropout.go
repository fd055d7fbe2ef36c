package gptblock

import (
	"hash/fnv"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/op"
)

// Dropout sets each element to 0 with probability p and divides the others by
// 1-p (Srivastava et al. 2014). The mask is a function of the seed of the
// Params, the layer's name and the clock (see graph.Params.Clock), so that a
// run can be replayed. With p = 0 the layer adds nothing to the graph.
type Dropout struct{ chance }

// NewDropout makes a dropout layer; it has no parameters. The name tells its
// random numbers from those of other layers.
func NewDropout(ps *graph.Params, name string, p float64) (*Dropout, error) {
	c, err := newChance(ps, name, p)
	return &Dropout{c}, err
}

// Forward drops elements of x.
func (d *Dropout) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	return d.apply(x, op.Dropout)
}

// StochasticDepth sets the whole of a sample, x[b] of x (B,...), to 0 with
// probability p and divides the others by 1-p (Huang et al. 2016,
// arXiv:1603.09382). It stands at the end of a residual branch.
type StochasticDepth struct{ chance }

// NewStochasticDepth is NewDropout for whole samples.
func NewStochasticDepth(ps *graph.Params, name string, p float64) (*StochasticDepth, error) {
	c, err := newChance(ps, name, p)
	return &StochasticDepth{c}, err
}

// Forward drops samples of x.
func (d *StochasticDepth) Forward(x *gorgonia.Node) (*gorgonia.Node, error) {
	return d.apply(x, op.DropPath)
}

// chance is a probability with random numbers of its own.
type chance struct {
	ps   *graph.Params
	name string
	p    float64
}

func newChance(ps *graph.Params, name string, p float64) (chance, error) {
	if ps == nil {
		return chance{}, errors.Errorf("gptblock: %s: Params = nil, want graph.Params", name)
	}
	if !(p >= 0 && p < 1) {
		return chance{}, errors.Errorf("gptblock: %s: p = %v, want 0 <= p < 1", name, p)
	}
	return chance{ps, name, p}, nil
}

func (c chance) apply(x *gorgonia.Node, f func(*gorgonia.Node, float64, op.Random) (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	if c.p == 0 {
		return x, nil
	}
	r, err := c.random()
	if err != nil {
		return nil, err
	}
	y, err := f(x, c.p, r)
	return y, errors.Wrap(err, c.name)
}

// random is where the layer's random numbers come from.
func (c chance) random() (op.Random, error) {
	clock, err := c.ps.Clock()
	h := fnv.New32a()
	h.Write([]byte(c.name))
	return op.Random{Clock: clock, Seed: c.ps.Seed(), Stream: h.Sum32()}, err
}
