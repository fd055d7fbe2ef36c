package train

import (
	"context"
	"math"
	"time"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// Planner is a solver that can tell what a step does. The solvers of package
// solvers can; of others a run reports loss and gradient norm alone.
type Planner interface {
	PlanStep(step int) (solvers.Plan, error)
}

// Inspectable is a solver that a run can look into (Config.InspectEvery).
type Inspectable interface {
	Planner
	Groups() *groups.Groups
	Report(step int) (*groups.Report, error)
}

// Run is one training run: what it works on, and its configuration.
type Run struct {
	Config

	Program *graph.Program
	Solver  gorgonia.Solver
	Params  *graph.Params

	// Batch is the feed of a micro-batch: a pure function of its arguments.
	// step counts from 0.
	Batch func(step, micro int) (graph.Feed, error)
	// Validate is the validation loss of the weights as they are; nil: none.
	Validate func(context.Context) (float64, error)
	// Save keeps the run as it is after a validation or at the end; nil:
	// nothing is kept. best tells that the last validation was the best yet.
	Save func(s State, best bool) error
	// Observers are told everything, in order.
	Observers []Observer

	state   State
	loss    gauge
	norm    gauge
	average *average
	inside  *inspector
	sum     Summary
}

// Train runs until the configured number of steps is done, or the context
// ends: then the step in progress is finished, the run is saved, and the
// summary says Interrupted, which is no error.
func (r *Run) Train(ctx context.Context) (Summary, error) {
	if err := r.begin(); err != nil {
		return Summary{}, err
	}
	evaluated, saved := -1, -1
	for r.Program.Steps() < r.Steps && r.sum.Stopped == Finished {
		if ctx.Err() != nil {
			r.sum.Stopped = Interrupted
			break
		}
		if err := r.step(context.WithoutCancel(ctx)); err != nil {
			return r.summary(), err
		}
		done := r.Program.Steps()
		best := false
		if due(done, r.EvalEvery) && done < r.Steps {
			var err error
			if best, err = r.evaluate(context.WithoutCancel(ctx)); err != nil {
				return r.summary(), err
			}
			evaluated = done
		}
		if best || due(done, r.SaveEvery) {
			if err := r.save(best); err != nil {
				return r.summary(), err
			}
			saved = done
		}
	}
	best := false
	if done := r.Program.Steps(); evaluated != done && r.sum.Stopped == Finished {
		var err error
		if best, err = r.evaluate(context.WithoutCancel(ctx)); err != nil {
			return r.summary(), err
		}
	}
	if best || saved != r.Program.Steps() {
		if err := r.save(best); err != nil {
			return r.summary(), err
		}
	}
	return r.summary(), nil
}

func due(done, every int) bool { return every > 0 && done%every == 0 }

func (r *Run) begin() error {
	if err := r.Config.Validate(); err != nil {
		return err
	}
	switch {
	case r.Program == nil || r.Solver == nil || r.Params == nil || r.Batch == nil:
		return errors.New("train: a Run needs Program, Solver, Params and Batch")
	case r.Micro == 0:
		r.Micro = 1
	}
	if r.EMA > 0 && r.average == nil {
		var err error
		if r.average, err = newAverage(r.Params.Trainable(), r.EMA); err != nil {
			return err
		}
	}
	if r.InspectEvery > 0 {
		s, ok := r.Solver.(Inspectable)
		if !ok {
			return errors.Errorf("train: inspect_every = %d, but a %T cannot be inspected", r.InspectEvery, r.Solver)
		}
		var err error
		if r.inside, err = newInspector(s, r.Steps); err != nil {
			return err
		}
	}
	r.sum = Summary{Stopped: Finished, Loss: math.NaN(), ValLoss: math.NaN()}
	return nil
}

// step does one optimizer step and reports it.
func (r *Run) step(ctx context.Context) error {
	feeds := make([]graph.Feed, r.Micro)
	at := r.Program.Steps()
	for m := range feeds {
		var err error
		if feeds[m], err = r.Batch(at, m); err != nil {
			return errors.Wrapf(err, "train: batch of step %d", at+1)
		}
	}
	start := time.Now()
	rec, look, err := r.try(ctx, feeds)
	if err != nil {
		return errors.Wrapf(err, "train: step %d", at+1)
	}
	rec.Step = at + 1
	rec.Seconds = time.Since(start).Seconds()
	r.sum.Training += time.Since(start)
	r.sum.Tokens += rec.Tokens
	if rec.Skipped != "" {
		r.sum.Skipped++
		r.state.Skipped++
	} else {
		r.sum.Loss = rec.Loss
		if r.average != nil {
			if err := r.average.update(); err != nil {
				return err
			}
		}
	}
	for _, o := range r.Observers {
		if err := o.Step(rec); err != nil {
			return err
		}
		if look != nil {
			if err := o.Inspect(*look); err != nil {
				return err
			}
		}
	}
	return nil
}

// try computes the gradients and applies them unless there is a reason not to.
func (r *Run) try(ctx context.Context, feeds []graph.Feed) (rec Step, look *Inspection, err error) {
	next := r.Program.Steps() + 1
	if p, ok := r.Solver.(Planner); ok {
		// The solver counts the steps that it made, which are fewer if some
		// were skipped.
		if rec.Rates, err = p.PlanStep(next - r.state.Skipped); err != nil {
			return rec, nil, err
		}
	}
	res, err := r.Program.Gradients(ctx, feeds...)
	if err != nil {
		return r.refused(rec, err)
	}
	rec.Loss, rec.Tokens, rec.GradNorm = res.Loss, int(res.Weight), math.NaN()
	if r.OutlierZ > 0 {
		if rec.GradNorm, err = r.Program.GradNorm(); err != nil {
			return rec, nil, err
		}
		if rec.Skipped = r.outlier(rec.Loss, rec.GradNorm); rec.Skipped != "" {
			r.Program.Skip()
			return rec, nil, nil
		}
	}
	inspect := due(next, r.InspectEvery)
	if inspect {
		if err := r.inside.before(r.Program); err != nil {
			return rec, nil, err
		}
	}
	norm, err := r.Program.Apply(r.Solver)
	if err != nil {
		return r.refused(rec, err)
	}
	if !math.IsNaN(norm) {
		rec.GradNorm = norm
	}
	if inspect {
		report, err := r.Solver.(Inspectable).Report(next - r.state.Skipped)
		if err != nil {
			return rec, nil, err
		}
		l := r.inside.after(next, r.Params.Trainable(), report)
		look = &l
	}
	return rec, look, nil
}

// refused skips a step that is not finite, if the run was told to.
func (r *Run) refused(rec Step, err error) (Step, *Inspection, error) {
	finite := !errors.Is(err, graph.ErrNonFiniteLoss) && !errors.Is(err, solvers.ErrNonFinite)
	if finite || r.NonFinite != Skip {
		return rec, nil, err
	}
	r.Program.Skip()
	r.sum.LastError = err
	rec.Skipped = err.Error()
	if errors.Is(err, graph.ErrNonFiniteLoss) {
		rec.Loss = math.NaN()
	}
	return rec, nil, nil
}

// outlier says why a step must not be applied, "" if it may.
func (r *Run) outlier(loss, norm float64) string {
	zl, zn := r.loss.z(loss), r.norm.z(norm)
	r.loss.add(loss)
	r.norm.add(norm)
	switch {
	case zl > r.OutlierZ:
		return errors.Errorf("loss %.4g is an outlier, z = %.1f", loss, zl).Error()
	case zn > r.OutlierZ:
		return errors.Errorf("gradient norm %.4g is an outlier, z = %.1f", norm, zn).Error()
	}
	return ""
}

// evaluate validates, with the averaged weights if there are any.
func (r *Run) evaluate(ctx context.Context) (best bool, err error) {
	if r.Validate == nil {
		return false, nil
	}
	if r.average != nil {
		if err := r.average.swap(); err != nil {
			return false, err
		}
		defer func() {
			if e := r.average.swap(); err == nil {
				err = e
			}
		}()
	}
	start := time.Now()
	loss, err := r.Validate(ctx)
	if err != nil {
		return false, errors.Wrap(err, "train: validation")
	}
	r.sum.ValLoss = loss
	best = r.state.Evals == 0 || loss < r.state.BestLoss
	r.state.Evals++
	if best {
		r.state.BestLoss, r.state.BestStep, r.state.Bad = loss, r.Program.Steps(), 0
	} else {
		r.state.Bad++
	}
	if r.Patience > 0 && r.state.Bad >= r.Patience {
		r.sum.Stopped = NoProgress
	}
	e := Eval{Step: r.Program.Steps(), Loss: loss, Best: best, Seconds: time.Since(start).Seconds()}
	for _, o := range r.Observers {
		if err := o.Eval(e); err != nil {
			return best, err
		}
	}
	return best, nil
}

func (r *Run) save(best bool) error {
	if r.Save == nil {
		return nil
	}
	return errors.Wrap(r.Save(r.State(), best), "train: save")
}

func (r *Run) summary() Summary {
	s := r.sum
	s.Steps, s.BestLoss, s.BestStep = r.Program.Steps(), math.NaN(), r.state.BestStep
	if r.state.Evals > 0 {
		s.BestLoss = r.state.BestLoss
	}
	return s
}
