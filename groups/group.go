package groups

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
)

// Names of the two groups of the policies in this package.
const (
	Decay   = "decay"
	NoDecay = "no_decay"
)

// Settings are a group's own hyperparameters. A nil field is inherited from
// the solver, so that zero can be said: [Value](0) is "no decay", nil is "as
// the solver decays". A solver refuses a setting that it has no use for.
type Settings struct {
	LRMult      *float64 `json:"lr_mult,omitempty"`      // factor on the learning rate, default 1
	WeightDecay *float64 `json:"weight_decay,omitempty"` // lambda
	Beta1       *float64 `json:"beta1,omitempty"`        // decay of the first moment
	Beta2       *float64 `json:"beta2,omitempty"`        // decay of the second moment
	Eps         *float64 `json:"eps,omitempty"`          // added to the denominator
}

// Value makes a setting: groups.Settings{WeightDecay: groups.Value(0)}.
func Value(x float64) *float64 { return &x }

// Validate refuses NaN, infinite and negative settings, and betas of 1 or more.
func (s Settings) Validate() error {
	for _, f := range []struct {
		name  string
		value *float64
		below float64
		want  string
	}{
		{"lr_mult", s.LRMult, math.Inf(1), "0 <= lr_mult < inf"},
		{"weight_decay", s.WeightDecay, math.Inf(1), "0 <= weight_decay < inf"},
		{"beta1", s.Beta1, 1, "0 <= beta1 < 1"},
		{"beta2", s.Beta2, 1, "0 <= beta2 < 1"},
		{"eps", s.Eps, math.Inf(1), "0 <= eps < inf"},
	} {
		if f.value != nil && !(*f.value >= 0 && *f.value < f.below) {
			return errors.Errorf("%s = %v, want %s", f.name, *f.value, f.want)
		}
	}
	return nil
}

// Mult is the factor on the learning rate: LRMult, or 1 if that is unset.
func (s Settings) Mult() float64 {
	if s.LRMult == nil {
		return 1
	}
	return *s.LRMult
}

// Group is an ordered list of parameters that a solver treats alike.
type Group struct {
	Name   string
	Params []*graph.Param
	Settings

	// Why says in a report what put the parameters here. Split leaves it
	// empty: there each parameter has its own reason.
	Why string
	// MayBeEmpty permits a group without parameters.
	MayBeEmpty bool
}

// Size is the number of elements of all parameters of the group.
func (g *Group) Size() int {
	n := 0
	for _, p := range g.Params {
		n += p.Size()
	}
	return n
}
