package hf

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// AddZeroBiases copies a model of GPT-2's layout that lacks biases (nanoGPT's
// option) into one that has them, all zero: it computes the same, and
// transformers, whose GPT-2 always has biases, can load it. The copy is for
// [Save]: to go on training it would be another model.
func AddZeroBiases(ps *graph.Params, c gptblock.Config) (*graph.Params, gptblock.Config, error) {
	if c.Layout != gptblock.LayoutGPT2 || c.Norm != gptblock.NormLayer {
		return nil, c, errors.Errorf("hf: AddZeroBiases for layout %q with norm %q, want %q with %q", c.Layout, c.Norm, gptblock.LayoutGPT2, gptblock.NormLayer)
	}
	c.Bias, c.NormBias = true, true
	full, err := graph.NewParams(gorgonia.NewGraph(), graph.WithDtype(ps.Dtype()), graph.WithoutInit())
	if err != nil {
		return nil, c, err
	}
	if _, err := gptblock.New(full, c); err != nil {
		return nil, c, err
	}
	for _, to := range full.All() {
		from := ps.Get(to.Name())
		if from == nil && to.Role().Class() != graph.ClassBias && to.Role() != graph.NormBias || from != nil && !from.Shape().Eq(to.Shape()) {
			return nil, c, errors.Errorf("hf: the parameters are not those of the config: %s", to.Name())
		}
		if from == nil {
			continue // without init it is zero
		}
		x32, x64, err := graph.Floats(from.Value())
		if err != nil {
			return nil, c, errors.WithMessagef(err, "hf: parameter %s", to.Name())
		}
		y32, y64, err := graph.Floats(to.Value())
		if err != nil {
			return nil, c, errors.WithMessagef(err, "hf: parameter %s", to.Name())
		}
		copy(y32, x32)
		copy(y64, x64)
	}
	return full, c, nil
}
