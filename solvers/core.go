package solvers

import (
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
)

// rule is an optimizer's algorithm: how one parameter moves. Everything else
// of a solver is in core.
type rule interface {
	// moments names the state tensors of a parameter.
	moments() []string
	// hyper works out what a step does to a group.
	hyper(step int, g *groups.Group) (hyper, error)
	// bound tells how large the state can be after the step with the gradient
	// times scale, and whether all results of the step are finite for certain.
	bound(s *slot, h hyper, scale float64) (next bounds, safe bool)
	// update moves the weight and the state.
	update(s *slot, h hyper, scale float64)
}

// hyper are the numbers of one step for one group. The update loop, Report and
// Plan all read them from here.
type hyper struct {
	lr, lambda, shrink float64
	beta1, beta2, eps  float64
}

// core is a solver: it runs a rule over the parameters of the groups.
type core struct {
	table
	common
	grad gradConfig
	name string // in state files
	rule rule

	moments []string // rule.moments(), after the options
	steps   int
	norm    float64
	hypers  []hyper  // of the step in progress, by group
	scratch struct { // of rehearse, kept for the next
		f32 buffers[float32]
		f64 buffers[float64]
	}
}

// Step makes one optimizer step with the gradients of params, which must be
// the parameters of the groups, each once, in any order: *graph.Param, their
// nodes, or parameters that share name and tensor with them.
//
// All parameters move or none: on any error the weights, the state, the step
// count and the gradients are as they were. After a step the gradients are
// zero, except those whose GradIsTransient() is true.
func (c *core) Step(params []gorgonia.ValueGrad) error {
	if err := c.resolve(params, c.nilGrad); err != nil {
		return err
	}
	norm, err := c.globalNorm()
	if err != nil {
		return err
	}
	norm *= c.grad.scale
	scale := c.grad.factor(norm)
	if c.maximize {
		scale = -scale
	}
	for i, g := range c.groups.All() {
		if c.hypers[i], err = c.rule.hyper(c.steps+1, g); err != nil {
			return err
		}
	}
	for _, s := range c.slots {
		s.ensureState(len(c.moments))
		if !s.active {
			continue
		}
		var safe bool
		if s.next, safe = c.rule.bound(s, c.hypers[s.group], scale); !safe {
			if s.next, err = c.rehearse(s, scale); err != nil {
				return err
			}
		}
	}
	// Nothing can fail from here on.
	for _, s := range c.slots {
		if s.active {
			c.rule.update(s, c.hypers[s.group], scale)
			s.bounds = s.next
			s.step++
		}
	}
	for _, s := range c.slots { // last: two parameters may share one gradient
		if s.active {
			s.zeroGrad()
		}
	}
	c.steps++
	c.norm = norm
	return nil
}

// Steps is the number of steps made so far.
func (c *core) Steps() int { return c.steps }

// GradNorm is the global L2 norm of the gradients of the last Step, after the
// gradient scale and before clipping.
func (c *core) GradNorm() float64 { return c.norm }

// Groups are the groups that the solver was made with.
func (c *core) Groups() *groups.Groups { return c.groups }

// rehearse makes the step of one parameter on copies and fails if anything
// comes out that is not finite. It is needed only where the bounds cannot
// exclude that: with eps = 0, or numbers near the limits of their type. It
// returns the bounds of the new state.
func (c *core) rehearse(s *slot, scale float64) (bounds, error) {
	c.scratch.f32.copyFrom(&s.f32)
	c.scratch.f64.copyFrom(&s.f64)
	r := *s
	r.f32, r.f64 = c.scratch.f32, c.scratch.f64
	c.rule.update(&r, c.hypers[s.group], scale)
	i, k, x := r.f32.firstBad()
	if i < 0 {
		i, k, x = r.f64.firstBad()
	}
	if i < 0 {
		return r.maxState(), nil
	}
	name := "weight"
	if i > 0 {
		name = c.moments[i-1]
	}
	return bounds{}, paramErr(s.param.Name(), ErrNonFinite, "after the step %s[%d] = %v", name, k, x)
}

// copyFrom copies all of src; the gradient, which no rule writes, is shared.
func (b *buffers[T]) copyFrom(src *buffers[T]) {
	b.w = append(b.w[:0], src.w...)
	b.g = src.g
	b.state = slices.Grow(b.state[:0], len(src.state))[:len(src.state)]
	for i, x := range src.state {
		b.state[i] = append(b.state[i][:0], x...)
	}
}

// firstBad looks for a number that is not finite in the weight (tensor 0) and
// in the state (1, 2, ...). Without one, tensor is -1.
func (b *buffers[T]) firstBad() (tensor, index int, value float64) {
	if i, x := firstBad(b.w); i >= 0 {
		return 0, i, x
	}
	for j, m := range b.state {
		if i, x := firstBad(m); i >= 0 {
			return j + 1, i, x
		}
	}
	return -1, -1, 0
}

// maxState recomputes the bounds from the state itself.
func (s *slot) maxState() bounds {
	var m [3]float64
	for i, x := range s.f32.state {
		m[i] = float64(kernel.MaxAbs(x))
	}
	for i, x := range s.f64.state {
		m[i] = kernel.MaxAbs(x)
	}
	return bounds{first: m[0], second: math.Max(m[1], m[2])}
}
