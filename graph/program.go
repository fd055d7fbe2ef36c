package graph

import (
	"context"
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// ErrNonFiniteLoss: the loss of a step is NaN or infinite. Nothing was updated.
var ErrNonFiniteLoss = errors.New("want a finite loss")

// Program is a compiled graph: the gradients of one cost, and a TapeMachine
// that is built once and run many times. It is not safe for concurrent use.
type Program struct {
	ps    *Params
	cost  *gorgonia.Node
	vm    gorgonia.VM
	train bool

	inputs  gorgonia.Nodes // leaves that are not parameters
	weighed []weigher
	grads   []gorgonia.ValueGrad // what a solver is handed: the trainable parameters
	acc     *accumulator         // made when a step has several micro-batches
	kept    map[*gorgonia.Node]*gorgonia.Value
	step    int

	ready       bool // gradients are there and were not applied yet
	accumulated bool // they are in acc
}

// weigher is an op whose value is a mean over the tokens that it counted in
// the last run. A Program weighs micro-batches by it.
type weigher interface{ Weight() float64 }

// Result is what a step or an evaluation found.
type Result struct {
	Step     int     // steps done by this program, this one included
	Loss     float64 // mean over the counted tokens of all micro-batches
	GradNorm float64 // global norm before clipping; NaN if the solver does not tell
	Weight   float64 // counted tokens; the number of micro-batches if the cost counts none
}

// Step does one optimizer step: [Program.Gradients], then [Program.Apply]. If
// the context ends between micro-batches, or the gradients cannot be computed,
// no parameter changes. If the solver fails, what it has moved stays moved:
// solvers.AdamW and solvers.Adafactor move all or none, Gorgonia's own solvers
// and solvers.Grouped over them may stop half way.
func (p *Program) Step(ctx context.Context, solver gorgonia.Solver, feeds ...Feed) (Result, error) {
	if solver == nil {
		return Result{}, errors.New("graph: Step needs a solver, got nil")
	}
	r, err := p.Gradients(ctx, feeds...)
	if err != nil {
		return Result{}, err
	}
	r.GradNorm, err = p.Apply(solver)
	r.Step = p.step
	return r, err
}

// Gradients computes the loss and its gradients and changes no parameter. Each
// feed is a micro-batch; loss and gradients are the mean over all of them,
// weighted by the tokens that each counted, so that k micro-batches give what
// one batch of all their tokens would give.
func (p *Program) Gradients(ctx context.Context, feeds ...Feed) (Result, error) {
	if !p.train {
		return Result{}, errors.New("graph: the program was compiled ForwardOnly, it has no gradients")
	}
	if len(feeds) == 0 {
		feeds = []Feed{nil} // a graph whose inputs the caller binds
	}
	var sum, weight float64
	for i, f := range feeds {
		loss, w, err := p.run(ctx, i, f)
		if err != nil {
			return Result{}, errors.Wrapf(err, "step %d, micro-batch %d", p.step, i)
		}
		sum, weight = sum+loss*w, weight+w
		if len(feeds) > 1 {
			if err := p.accumulate(i, w); err != nil {
				return Result{}, err
			}
		}
	}
	if !(weight > 0) {
		return Result{}, errors.Errorf("graph: step %d: the batch has no counted token", p.step)
	}
	if len(feeds) > 1 {
		p.acc.scale(1 / weight)
	}
	p.ready, p.accumulated = true, len(feeds) > 1
	return Result{Step: p.step, Loss: sum / weight, GradNorm: math.NaN(), Weight: weight}, nil
}

// Apply lets the solver take a step with the gradients that Gradients has just
// computed, once; another run in between, Eval's too, makes them stale. It returns their global norm before clipping, NaN if the
// solver does not tell.
func (p *Program) Apply(solver gorgonia.Solver) (gradNorm float64, err error) {
	if solver == nil {
		return math.NaN(), errors.New("graph: Apply needs a solver, got nil")
	}
	if !p.ready {
		return math.NaN(), errors.New("graph: Apply without gradients, call Gradients first")
	}
	p.ready = false
	if err := p.update(solver, p.accumulated); err != nil {
		return math.NaN(), errors.Wrapf(err, "graph: step %d", p.step)
	}
	p.step++
	if s, ok := solver.(interface{ GradNorm() float64 }); ok {
		return s.GradNorm(), nil
	}
	return math.NaN(), nil
}

// EachGrad calls f with every trained parameter and the elements of the
// gradient that Gradients has computed and nobody has applied yet: one of the
// slices is nil, by the parameter's dtype.
func (p *Program) EachGrad(f func(q *Param, f32 []float32, f64 []float64)) error {
	if !p.ready {
		return errors.New("graph: EachGrad without gradients, call Gradients first")
	}
	for i, vg := range p.grads {
		g, err := vg.Grad()
		if err != nil {
			return err
		}
		if p.accumulated {
			g = p.acc.values[i]
		}
		f32, f64, err := Floats(g)
		if err != nil {
			return errors.Wrapf(err, "graph: gradient of %s", vg.(*Param).name)
		}
		f(vg.(*Param), f32, f64)
	}
	return nil
}

// GradNorm is the global L2 norm of the gradients that EachGrad shows. It reads
// all of them.
func (p *Program) GradNorm() (float64, error) {
	var sum float64
	err := p.EachGrad(func(_ *Param, f32 []float32, f64 []float64) {
		sum += kernel.SumSquares(f32) + kernel.SumSquares(f64)
	})
	return math.Sqrt(sum), err
}

// Skip counts a step whose gradients were not applied, so that the clock, and
// with it what dropout draws, goes on.
func (p *Program) Skip() {
	p.ready = false
	p.step++
}

// update hands the gradients to the solver: the graph's own buffers, or the
// accumulated ones.
func (p *Program) update(solver gorgonia.Solver, accumulated bool) error {
	for i, vg := range p.grads {
		q := vg.(*Param)
		q.transient = true
		if accumulated {
			q.grad = p.acc.values[i]
		}
	}
	defer func() {
		for _, vg := range p.grads {
			q := vg.(*Param)
			q.transient, q.grad = false, nil
		}
	}()
	return solver.Step(p.grads)
}

// Eval runs the graph once and returns its loss; no parameter changes.
// Gradients not applied before are gone.
func (p *Program) Eval(ctx context.Context, feed Feed) (Result, error) {
	loss, w, err := p.run(ctx, 0, feed)
	if err != nil {
		return Result{}, err
	}
	return Result{Step: p.step, Loss: loss, GradNorm: math.NaN(), Weight: w}, nil
}

// run feeds the inputs and runs the machine once. It overwrites the gradients
// of the run before, so those can no longer be applied.
func (p *Program) run(ctx context.Context, micro int, feed Feed) (loss, weight float64, err error) {
	if p.vm == nil {
		return 0, 0, errors.New("graph: the program is closed")
	}
	p.ready = false
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if err := copyFeed(feed); err != nil {
		return 0, 0, err
	}
	for _, n := range p.inputs {
		if n.Value() == nil {
			return 0, 0, errors.Errorf("graph: input %s of shape %v has no value, want one in the feed", n.Name(), n.Shape())
		}
	}
	p.ps.SetClock(p.step, micro)
	p.vm.Reset()
	if err := p.vm.RunAll(); err != nil {
		return 0, 0, errors.Wrap(err, "graph: run")
	}
	if loss, err = scalar(p.cost.Value()); err != nil {
		return 0, 0, err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, errors.Wrapf(ErrNonFiniteLoss, "graph: loss = %v", loss)
	}
	return loss, p.weight(), nil
}

// weight is the number of tokens that the cost counted in the last run, 1 if
// it does not count.
func (p *Program) weight() float64 {
	if len(p.weighed) == 0 {
		return 1
	}
	w := 0.0
	for _, op := range p.weighed {
		w += op.Weight()
	}
	return w
}

func scalar(v gorgonia.Value) (float64, error) {
	f32, f64, err := Floats(v)
	switch {
	case err != nil:
		return 0, errors.Wrap(err, "graph: cost")
	case len(f32) == 1:
		return float64(f32[0]), nil
	case len(f64) == 1:
		return f64[0], nil
	}
	return 0, errors.Errorf("graph: cost has shape %v, want a scalar", v.Shape())
}

// Value is the value that a node named in [Keep] had in the last run, nil
// before the first. It is overwritten by the next run.
func (p *Program) Value(n *gorgonia.Node) gorgonia.Value {
	if v := p.kept[n]; v != nil {
		return *v
	}
	return nil
}

// Steps is the number of optimizer steps done.
func (p *Program) Steps() int { return p.step }

// SetSteps sets the number of optimizer steps done, when a run is resumed: it
// is the step of the clock that dropout reads.
func (p *Program) SetSteps(n int) error {
	if n < 0 {
		return errors.Errorf("graph: steps = %d, want >= 0", n)
	}
	p.step = n
	return nil
}

// Close releases the machine. The parameters stay.
func (p *Program) Close() error {
	if p.vm == nil {
		return nil
	}
	err := p.vm.Close()
	p.vm = nil
	return errors.Wrap(err, "graph: close")
}
