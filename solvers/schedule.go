package solvers

import (
	"math"

	"github.com/pkg/errors"
)

// Schedule is a factor as a pure function of the step. Steps count from 1: the
// first update of a run is step 1. A learning-rate schedule multiplies the
// peak learning rate, so its largest value should be 1.
type Schedule interface {
	At(step int) float64
}

// Func makes a [Schedule] of any function.
type Func func(step int) float64

// At calls f.
func (f Func) At(step int) float64 { return f(step) }

// Shape is the way in which a [Curve] falls after its peak.
type Shape string

// The shapes, with x from 0 at the peak's end to 1 at step Curve.Steps.
const (
	ShapeConstant    Shape = "constant"     // 1
	ShapeLinear      Shape = "linear"       // 1 - x
	ShapeCosine      Shape = "cosine"       // (1 + cos(pi x)) / 2
	ShapeSqrt        Shape = "sqrt"         // 1 - sqrt(x)
	ShapeInverseSqrt Shape = "inverse_sqrt" // sqrt(p / step), p the last step of the peak
)

// Curve is a schedule as data. It rises linearly from 1/Warmup at step 1 to 1
// at step Warmup, stays at 1 for Hold more steps, and falls by its shape to
// Floor at step Steps, where it stays.
type Curve struct {
	Shape  Shape   `json:"shape"`
	Warmup int     `json:"warmup,omitempty"`
	Hold   int     `json:"hold,omitempty"`
	Steps  int     `json:"steps,omitempty"` // not used by constant and inverse_sqrt
	Floor  float64 `json:"floor,omitempty"`
}

// Constant is 1 at every step.
func Constant() Curve { return Curve{Shape: ShapeConstant} }

// Linear rises for warmup steps and falls in a straight line to floor at the
// step steps.
func Linear(warmup, steps int, floor float64) Curve {
	return Curve{Shape: ShapeLinear, Warmup: warmup, Steps: steps, Floor: floor}
}

// WarmupCosine rises for warmup steps and falls along half a cosine to floor
// at the step steps, then stays there: GPT-3 (Brown et al. 2020, appendix B)
// and LLaMA with floor 0.1. nanoGPT's schedule, which counts from 0 and warms
// up by (it+1)/(warmup_iters+1), is WarmupCosine(warmup_iters+1,
// lr_decay_iters+1, min_lr/lr).
func WarmupCosine(warmup, steps int, floor float64) Curve {
	return Curve{Shape: ShapeCosine, Warmup: warmup, Steps: steps, Floor: floor}
}

// WarmupStableDecay rises for warmup steps, holds 1 for hold steps, and falls
// as 1 - sqrt(x) to floor at the step steps (Haegele et al. 2024,
// arXiv:2405.18392). Set Shape to [ShapeLinear] for a linear fall.
func WarmupStableDecay(warmup, hold, steps int, floor float64) Curve {
	return Curve{Shape: ShapeSqrt, Warmup: warmup, Hold: hold, Steps: steps, Floor: floor}
}

// InverseSqrt rises for warmup steps, holds 1 for hold steps, and falls as
// sqrt((warmup+hold)/step) for ever. PaLM's (Chowdhery et al. 2022, section 5)
// is InverseSqrt(0, 10000) with a peak of 1e-2.
func InverseSqrt(warmup, hold int) Curve {
	return Curve{Shape: ShapeInverseSqrt, Warmup: warmup, Hold: hold}
}

// Validate refuses an unknown shape, negative lengths, a floor outside [0, 1]
// and a fall that has no steps.
func (c Curve) Validate() error {
	if c.Warmup < 0 || c.Hold < 0 {
		return errors.Errorf("solvers: schedule: warmup = %d, hold = %d, want >= 0", c.Warmup, c.Hold)
	}
	if !(c.Floor >= 0 && c.Floor <= 1) {
		return errors.Errorf("solvers: schedule: floor = %v, want 0 <= floor <= 1", c.Floor)
	}
	switch peak := c.Warmup + c.Hold; c.Shape {
	case ShapeConstant:
	case ShapeInverseSqrt:
		if peak < 1 {
			return errors.New("solvers: schedule: inverse_sqrt needs warmup + hold >= 1")
		}
	case ShapeLinear, ShapeCosine, ShapeSqrt:
		if c.Steps <= peak {
			return errors.Errorf("solvers: schedule: steps = %d, want more than warmup + hold = %d", c.Steps, peak)
		}
	default:
		return errors.Errorf("solvers: schedule: shape = %q, want constant, linear, cosine, sqrt or inverse_sqrt", c.Shape)
	}
	return nil
}

// peak is the first step at which the factor is 1.
func (c Curve) peak() int { return max(1, c.Warmup) }

// At is the factor for a step, 0 for steps below 1.
func (c Curve) At(step int) float64 {
	peak := c.Warmup + c.Hold
	switch {
	case step < 1:
		return 0
	case step < c.Warmup:
		return float64(step) / float64(c.Warmup)
	case step <= peak || c.Shape == ShapeConstant:
		return 1
	case c.Shape == ShapeInverseSqrt:
		return max(c.Floor, math.Sqrt(float64(peak)/float64(step)))
	case step >= c.Steps:
		return c.Floor
	}
	x := float64(step-peak) / float64(c.Steps-peak)
	var fall float64
	switch c.Shape {
	case ShapeLinear:
		fall = 1 - x
	case ShapeCosine:
		fall = 0.5 * (1 + math.Cos(math.Pi*x))
	case ShapeSqrt:
		fall = 1 - math.Sqrt(x)
	}
	return c.Floor + (1-c.Floor)*fall
}
