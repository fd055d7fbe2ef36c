package train

import (
	"context"
	"time"

	"github.com/pkg/errors"
)

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
	if !finite(loss) { // nothing could be better or worse than it
		return false, errors.Errorf("train: validation loss after step %d = %v, want a finite number", r.Program.Steps(), loss)
	}
	r.state.ValLoss, r.state.EvalStep = loss, r.Program.Steps()
	best = r.state.Evals == 0 || loss < r.state.BestLoss
	r.state.Evals++
	if best {
		r.state.BestLoss, r.state.BestStep, r.state.Bad = loss, r.Program.Steps(), 0
	} else {
		r.state.Bad++
	}
	r.checkPatience()
	e := Eval{Step: r.Program.Steps(), Loss: loss, Best: best, Seconds: time.Since(start).Seconds()}
	for _, o := range r.Observers {
		if err := o.Eval(e); err != nil {
			return best, err
		}
	}
	return best, nil
}

func (r *Run) checkPatience() {
	if r.Patience > 0 && r.state.Bad >= r.Patience {
		r.sum.Stopped = NoProgress
	}
}
