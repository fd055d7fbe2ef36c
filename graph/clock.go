package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Clock is the graph's input [step, micro-batch], an int64 vector, made on
// first use. Ops that draw random numbers (dropout, stochastic depth) read it:
// their masks are a function of the seed, this clock and their place in the
// model, so that a step can be replayed. A [Program] feeds it; with a VM of
// your own call [Params.SetClock] before each run, or the masks never change.
func (ps *Params) Clock() (*gorgonia.Node, error) {
	if ps.clock != nil {
		return ps.clock, nil
	}
	if ps.g == nil {
		return nil, errors.New("graph: Clock of Params without a graph")
	}
	n := gorgonia.NewTensor(ps.g, tensor.Int64, 1, gorgonia.WithShape(2), gorgonia.WithName("clock"))
	if err := gorgonia.Let(n, tensor.New(tensor.WithShape(2), tensor.WithBacking(make([]int64, 2)))); err != nil {
		return nil, errors.Wrap(err, "graph: clock")
	}
	ps.clock = n
	return n, nil
}

// SetClock sets the clock of the next run. Without random ops it does nothing.
func (ps *Params) SetClock(step, micro int) {
	if ps.clock == nil {
		return
	}
	c := ps.clock.Value().(*tensor.Dense).Int64s()
	c[0], c[1] = int64(step), int64(micro)
}
