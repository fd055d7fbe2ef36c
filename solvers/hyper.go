package solvers

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// newCore makes the parts of a solver that do not depend on its rule, with
// defaults that options then change.
func newCore(name string, gs *groups.Groups, defaults common, r rule) (core, error) {
	t, err := newTable(gs)
	if err != nil {
		return core{}, err
	}
	defaults.schedule, defaults.decaySchedule = Constant(), Constant()
	return core{
		table: t, common: defaults, grad: gradConfig{scale: 1},
		name: name, rule: r, hypers: make([]hyper, len(gs.All())),
	}, nil
}

func (c *core) validate() error {
	if err := c.common.validate(); err != nil {
		return err
	}
	if err := c.grad.validate(); err != nil {
		return err
	}
	c.moments = c.rule.moments()
	// A run whose settings are out of range must not fail at the end of a long
	// warm-up: a step there refuses them, but so do we here.
	for _, step := range []int{1, peakStep(c.schedule), peakStep(c.decaySchedule)} {
		if _, err := c.hypersAt(step); err != nil {
			return err
		}
	}
	return nil
}

// peakStep is the first step at which a schedule that is data has its largest
// factor, 1 for others.
func peakStep(s Schedule) int {
	if c, ok := s.(interface{ peak() int }); ok {
		return c.peak()
	}
	return 1
}

// scheduled fills the learning rate and lambda, and returns the schedule's factor.
func (c *common) scheduled(step int, g *groups.Group) (h hyper, s float64, err error) {
	s = c.schedule.At(step)
	d := c.decaySchedule.At(step)
	if !(s >= 0 && s < math.Inf(1)) || !(d >= 0 && d < math.Inf(1)) {
		return h, s, errors.Errorf("solvers: step %d: schedule = %v, decay schedule = %v, want 0 <= factor < inf", step, s, d)
	}
	h.lr = c.lr * s * g.Mult()
	h.lambda = or(g.WeightDecay, c.decay) * d
	return h, s, nil
}

// check refuses a step that turns weights over or whose numbers overflow.
func (h hyper) check(step int, g *groups.Group) error {
	if !(h.lr < math.Inf(1)) {
		return errors.Errorf("solvers: step %d, group %s: lr = %v, want a finite number", step, g.Name, h.lr)
	}
	if !(h.shrink <= 1) {
		return errors.Errorf("solvers: step %d, group %s: the decay would multiply weights by 1 - %v, want a factor between 0 and 1", step, g.Name, h.shrink)
	}
	return nil
}

// or is the setting, or the default if it is unset.
func or(setting *float64, def float64) float64 {
	if setting == nil {
		return def
	}
	return *setting
}

// Report describes every parameter, its group and what the given step does to
// it (1 is the first of a run), from the numbers that the update loop reads. It
// notes parameters on which the decay has no effect because 1 - shrink rounds
// to 1 in their type. It needs no values: a model that is only described can be
// reported too.
func (c *core) Report(step int) (*groups.Report, error) {
	hypers, err := c.hypersAt(step)
	if err != nil {
		return nil, err
	}
	return c.groups.Report(func(p *graph.Param) groups.Rate {
		s := c.byParam[p]
		h := hypers[s.group]
		r := groups.Rate{LR: h.lr, Lambda: h.lambda, Shrink: h.shrink}
		if h.shrink > 0 && s.round(1-h.shrink) == 1 {
			r.Note = "the decay has no effect, 1 - shrink is 1 in " + p.Dtype().String()
		}
		return r
	}), nil
}

func (c *core) hypersAt(step int) ([]hyper, error) {
	if step < 1 {
		return nil, errors.Errorf("solvers: step = %d, want >= 1", step)
	}
	hs := make([]hyper, len(c.hypers))
	for i, g := range c.groups.All() {
		var err error
		if hs[i], err = c.rule.hyper(step, g); err != nil {
			return nil, err
		}
	}
	return hs, nil
}
