package train

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// State is what a run needs to go on, beside the weights, the solver's state
// and its configuration. It is JSON but for Average.
type State struct {
	Step     int       `json:"step"` // done; also the data position and the clock of dropout
	Skipped  int       `json:"skipped,omitempty"`
	Evals    int       `json:"evals,omitempty"`
	Bad      int       `json:"evals_without_progress,omitempty"`
	EvalStep int       `json:"eval_step,omitempty"` // of the last validation, with ValLoss
	Loss     float64   `json:"loss,omitempty"`      // of the last step that was applied
	ValLoss  float64   `json:"val_loss,omitempty"`
	BestLoss float64   `json:"best_val_loss,omitempty"`
	BestStep int       `json:"best_step,omitempty"`
	Losses   []float64 `json:"recent_losses,omitempty"` // that outliers are judged against
	Norms    []float64 `json:"recent_grad_norms,omitempty"`
	Warned   []string  `json:"warned,omitempty"` // what inspections have said, to say it once

	// Average are the averaged weights by parameter name, nil without EMA.
	// They are the run's own: to be read before the next step.
	Average map[string]gorgonia.Value `json:"-"`
}

// State is where the run stands.
func (r *Run) State() State {
	s := r.state
	s.Step = r.Program.Steps()
	s.Losses = append([]float64(nil), r.loss.values...)
	s.Norms = append([]float64(nil), r.norm.values...)
	s.Warned = append([]string(nil), s.Warned...)
	if r.average != nil {
		s.Average = map[string]gorgonia.Value{}
		for i, p := range r.average.params {
			s.Average[p.Name()] = r.average.values[i]
		}
	}
	return s
}

// Resume makes the run go on from s, before Train. The weights and the state
// of the solver are the caller's to restore.
func (r *Run) Resume(s State) error {
	if (r.EMA > 0) != (s.Average != nil) {
		return errors.Errorf("train: resume: ema = %v, but the state has averaged weights: %v", r.EMA, s.Average != nil)
	}
	if s.Average != nil {
		a, err := newAverage(r.Params.Trainable(), r.EMA)
		if err != nil {
			return err
		}
		for i, p := range a.params {
			v := s.Average[p.Name()]
			if v == nil || !v.Shape().Eq(p.Shape()) || v.Dtype() != p.Dtype() {
				return errors.Errorf("train: resume: averaged weights of %s are missing or of another shape, want %v %v", p.Name(), p.Dtype(), p.Shape())
			}
			if a.values[i], err = gorgonia.CloneValue(v); err != nil {
				return err
			}
		}
		r.average = a
	}
	if err := r.Program.SetSteps(s.Step); err != nil {
		return err
	}
	r.loss.values = append([]float64(nil), s.Losses...)
	r.norm.values = append([]float64(nil), s.Norms...)
	s.Warned = append([]string(nil), s.Warned...)
	s.Losses, s.Norms, s.Average = nil, nil, nil
	r.state, r.resumed = s, true
	return nil
}
