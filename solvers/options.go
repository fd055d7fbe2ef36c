package solvers

import (
	"math"

	"github.com/pkg/errors"
)

// AdamWOption sets a hyperparameter of [NewAdamW]. Options that a solver has
// no use for do not compile.
type AdamWOption interface{ setAdamW(*AdamW) }

// AdafactorOption sets a hyperparameter of [NewAdafactor].
type AdafactorOption interface{ setAdafactor(*Adafactor) }

// GroupedOption sets what [NewGrouped] does to the gradients.
type GroupedOption interface{ setGrouped(*Grouped) }

// Option is understood by NewAdamW and NewAdafactor.
type Option func(*common)

func (o Option) setAdamW(a *AdamW)         { o(&a.common) }
func (o Option) setAdafactor(a *Adafactor) { o(&a.common) }

// GradOption is understood by NewAdamW, NewAdafactor and NewGrouped.
type GradOption func(*gradConfig)

func (o GradOption) setAdamW(a *AdamW)         { o(&a.grad) }
func (o GradOption) setAdafactor(a *Adafactor) { o(&a.grad) }
func (o GradOption) setGrouped(g *Grouped)     { o(&g.grad) }

// gradConfig is what happens to all gradients before any parameter moves.
type gradConfig struct {
	scale    float64
	clip     float64
	clipping bool
}

// common are the hyperparameters that AdamW and Adafactor share.
type common struct {
	lr            float64
	schedule      Schedule
	decay         float64
	decaySchedule Schedule
	maximize      bool
	nilGrad       NilGrad
}

// WithLR sets the peak learning rate, which the schedule and a group's LRMult
// multiply. The default is 1e-3 for AdamW and 1e-2 for Adafactor.
func WithLR(lr float64) Option { return func(c *common) { c.lr = lr } }

// WithSchedule sets the factor on the learning rate as a function of the step.
// The default is [Constant].
func WithSchedule(s Schedule) Option { return func(c *common) { c.schedule = s } }

// WithWeightDecay sets lambda for the groups that do not set their own. The
// default is 1e-2 for AdamW; see [NewAdafactor] for what it means there.
func WithWeightDecay(lambda float64) Option { return func(c *common) { c.decay = lambda } }

// WithDecaySchedule sets a factor on lambda as a function of the step. The
// default is [Constant].
func WithDecaySchedule(s Schedule) Option { return func(c *common) { c.decaySchedule = s } }

// WithMaximize makes the solver climb the gradient instead of descending it.
func WithMaximize() Option { return func(c *common) { c.maximize = true } }

// NilGrad says what to do about a parameter whose gradient is nil.
type NilGrad int

const (
	// Refuse makes a nil gradient an error ([ErrNilGrad]). It is the default:
	// nothing is skipped in silence.
	Refuse NilGrad = iota
	// Skip leaves the parameter alone for this step, as PyTorch does: no
	// update, no decay, and its own step count stands still. A step in which
	// no parameter has a gradient is an error all the same.
	Skip
)

// WithNilGrad chooses between Refuse, the default, and Skip.
func WithNilGrad(n NilGrad) Option { return func(c *common) { c.nilGrad = n } }

// WithClipGlobalNorm scales all gradients of all groups by
// min(1, maxNorm / (norm + 1e-6)), norm being their global L2 norm, before
// anything moves: Pascanu et al. 2013, arXiv:1211.5063, with PyTorch's 1e-6.
// The default is not to clip.
func WithClipGlobalNorm(maxNorm float64) GradOption {
	return func(c *gradConfig) { c.clip, c.clipping = maxNorm, true }
}

// WithGradScale multiplies every gradient by scale before anything else: 1/K
// after K accumulated micro-batches, or the inverse of a loss scale. The
// default is 1.
func WithGradScale(scale float64) GradOption { return func(c *gradConfig) { c.scale = scale } }

func nilOption(i int) error { return errors.Errorf("solvers: option %d = nil, want an option", i) }

func (c *gradConfig) validate() error {
	if c.clipping && !(c.clip > 0 && c.clip < math.Inf(1)) {
		return errors.Errorf("solvers: clip norm = %v, want 0 < norm < inf", c.clip)
	}
	if !(c.scale > 0 && c.scale < math.Inf(1)) {
		return errors.Errorf("solvers: gradient scale = %v, want 0 < scale < inf", c.scale)
	}
	return nil
}

// factor is what the gradients of global norm norm, scale included, are
// multiplied by.
func (c *gradConfig) factor(norm float64) float64 {
	if c.clipping {
		return c.scale * min(1, c.clip/(norm+1e-6))
	}
	return c.scale
}

func (c *common) validate() error {
	if err := inRange("lr", c.lr, math.Inf(1)); err != nil {
		return err
	}
	if err := inRange("weight decay", c.decay, math.Inf(1)); err != nil {
		return err
	}
	if c.nilGrad != Refuse && c.nilGrad != Skip {
		return errors.Errorf("solvers: nil gradients = %d, want Refuse or Skip", c.nilGrad)
	}
	for _, s := range []Schedule{c.schedule, c.decaySchedule} {
		if s == nil {
			return errors.New("solvers: schedule = nil, want a Schedule")
		}
		if v, ok := s.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// inRange checks 0 <= x < below; NaN fails.
func inRange(name string, x, below float64) error {
	if !(x >= 0 && x < below) {
		return errors.Errorf("solvers: %s = %v, want 0 <= %s < %v", name, x, name, below)
	}
	return nil
}
