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
	// Validate is the validation loss of the weights as they are, a finite
	// number; nil: none.
	Validate func(context.Context) (float64, error)
	// Save keeps the run as it is: every SaveEvery steps, after a validation
	// that is the best yet (then best is true), at the end, and before Train
	// fails because a step is not finite. nil: nothing is kept.
	Save func(s State, best bool) error
	// Observers are told everything, in order.
	Observers []Observer

	state   State
	resumed bool
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
	saved := -1
	if r.resumed {
		saved = r.Program.Steps()
	}
	for r.Program.Steps() < r.Steps && r.sum.Stopped == Finished {
		if ctx.Err() != nil {
			r.sum.Stopped = Interrupted
			break
		}
		if err := r.step(context.WithoutCancel(ctx)); err != nil {
			if refusal(err) && saved != r.Program.Steps() { // all is as it was before the step
				if e := r.save(false); e != nil {
					err = errors.WithMessage(err, e.Error())
				}
			}
			return r.summary(), err
		}
		done := r.Program.Steps()
		best := false
		if due(done, r.EvalEvery) && done < r.Steps {
			var err error
			if best, err = r.evaluate(context.WithoutCancel(ctx)); err != nil {
				return r.summary(), err
			}
		}
		if best || due(done, r.SaveEvery) {
			if err := r.save(best); err != nil {
				return r.summary(), err
			}
			saved = done
		}
	}
	best := false
	if r.sum.Stopped == Finished && (r.state.Evals == 0 || r.state.EvalStep != r.Program.Steps()) {
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
	r.sum = Summary{Stopped: Finished}
	r.checkPatience()
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
		r.state.Skipped++
	} else {
		r.state.Loss = rec.Loss
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
		if !finite(rec.GradNorm) { // it would spoil what the next steps are judged against
			return r.refused(rec, r.nonFinite())
		}
		if err := r.outlier(rec.Loss, rec.GradNorm); err != nil {
			r.skip(&rec, err)
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
		s := r.Solver.(Inspectable)
		report, err := s.Report(next - r.state.Skipped)
		if err != nil {
			return rec, nil, err
		}
		l := r.inside.after(next, r.Params.Trainable(), s, report)
		l.Warnings = r.unsaid(l.Warnings)
		look = &l
	}
	return rec, look, nil
}

func (r *Run) save(best bool) error {
	if r.Save == nil {
		return nil
	}
	return errors.Wrap(r.Save(r.State(), best), "train: save")
}

func (r *Run) summary() Summary {
	s := r.sum
	s.Steps, s.Skipped = r.Program.Steps(), r.state.Skipped
	s.Loss, s.ValLoss, s.BestLoss = math.NaN(), math.NaN(), math.NaN()
	if s.Steps > s.Skipped {
		s.Loss = r.state.Loss
	}
	if r.state.Evals > 0 {
		s.ValLoss, s.BestLoss, s.BestStep = r.state.ValLoss, r.state.BestLoss, r.state.BestStep
	}
	return s
}
