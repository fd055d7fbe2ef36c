package solvers

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/kernel"
)

// slot is a parameter's place in a solver: its state, and during a step the
// memory that the step works on.
type slot struct {
	param  *graph.Param
	group  int // index into the groups
	step   int // updates of this parameter
	bounds     // of the state

	// Exactly one of the two is in use.
	f32 buffers[float32]
	f64 buffers[float64]

	// The step in progress.
	given  gorgonia.ValueGrad // nil if the parameter was not handed over
	active bool               // it has a gradient
	sumsq  float64            // sum of squares of the gradient
	next   bounds             // of the state after it
	scale  float64            // Adafactor: what the learning rate is multiplied by
}

// buffers are the slices of one parameter, all of the same length.
type buffers[T kernel.Float] struct {
	w, g  []T
	state [][]T // in the order of rule.moments
}

// bounds are upper bounds of the absolute values in the state, kept by
// recurrence so that nobody has to read the state to know that it cannot
// overflow.
type bounds struct {
	first, second float64 // of exp_avg; of exp_avg_sq and max_exp_avg_sq
}

func (s *slot) isF32() bool { return s.param.Dtype() == tensor.Float32 }

// ensureState allocates n zeroed state buffers once.
func (s *slot) ensureState(n int) {
	if s.isF32() {
		s.f32.ensure(n, s.param.Size())
	} else {
		s.f64.ensure(n, s.param.Size())
	}
}

func (b *buffers[T]) ensure(n, size int) {
	for len(b.state) < n {
		b.state = append(b.state, make([]T, size))
	}
}

func (s *slot) measure() {
	if s.isF32() {
		s.sumsq = kernel.SumSquares(s.f32.g)
	} else {
		s.sumsq = kernel.SumSquares(s.f64.g)
	}
}

// maxGrad is the largest |g|, exactly.
func (s *slot) maxGrad() float64 {
	if s.isF32() {
		return float64(kernel.MaxAbs(s.f32.g))
	}
	return kernel.MaxAbs(s.f64.g)
}

// badGrad finds the first element of the gradient that is NaN or infinite.
func (s *slot) badGrad() (index int, value float64) {
	if s.isF32() {
		return firstBad(s.f32.g)
	}
	return firstBad(s.f64.g)
}

// firstBad returns -1 if all of x is finite.
func firstBad[T kernel.Float](x []T) (index int, value float64) {
	if i := kernel.FirstNonFinite(x); i >= 0 {
		return i, float64(x[i])
	}
	return -1, 0
}

// gradMemory identifies the memory of the gradient.
func (s *slot) gradMemory() any {
	if s.isF32() {
		return &s.f32.g[0]
	}
	return &s.f64.g[0]
}

func (s *slot) scaleGrad(by float64) {
	if s.isF32() {
		kernel.Scale(s.f32.g, float32(by), s.f32.g)
	} else {
		kernel.Scale(s.f64.g, by, s.f64.g)
	}
}

// zeroGrad clears the gradient, as every Gorgonia solver does after a step:
// Gorgonia's VM adds the next gradient to what it finds. A gradient that says
// that it will be overwritten is left alone.
func (s *slot) zeroGrad() {
	if t, ok := s.given.(interface{ GradIsTransient() bool }); ok && t.GradIsTransient() {
		return
	}
	if s.isF32() {
		kernel.Fill(s.f32.g, 0)
	} else {
		kernel.Fill(s.f64.g, 0)
	}
}

// limits are the bounds of a floating point type.
type limits struct {
	// large is a quarter of the largest finite number: a computed value below
	// it is finite, whatever the rounding.
	large float64
	// nudge is half the distance between the two largest finite numbers.
	// Adding less than that to any finite number gives a finite number.
	nudge float64
}

func (s *slot) limits() limits {
	if s.isF32() {
		return limits{large: math.MaxFloat32 / 4, nudge: math.Ldexp(1, 103)}
	}
	return limits{large: math.MaxFloat64 / 4, nudge: math.Ldexp(1, 970)}
}

// round is x as the type of the parameter holds it.
func (s *slot) round(x float64) float64 {
	if s.isF32() {
		return float64(float32(x))
	}
	return x
}
