package train

import (
	"time"

	"github.com/gorget/gorget/solvers"
)

// Step is the record of one optimizer step.
type Step struct {
	Step     int     // 1 is the first
	Loss     float64 // before the step, in nats a token
	GradNorm float64 // global, before clipping
	Tokens   int     // tokens that carried loss
	Seconds  float64 // that the step took
	Rates    solvers.Plan
	Skipped  string // why the step was not applied; "" if it was

	speed float64 // of a step that is replayed
}

// TokensPerSecond is the speed of the step.
func (s Step) TokensPerSecond() float64 {
	if s.Seconds <= 0 {
		return s.speed
	}
	return float64(s.Tokens) / s.Seconds
}

// LR is the learning rate of the group with the largest one, 0 if the solver
// does not tell.
func (s Step) LR() float64 {
	lr := 0.0
	for _, r := range s.Rates {
		lr = max(lr, r.LR)
	}
	return lr
}

// WeightDecay is the largest lambda of a group, 0 if the solver does not tell.
func (s Step) WeightDecay() float64 {
	wd := 0.0
	for _, r := range s.Rates {
		wd = max(wd, r.Lambda)
	}
	return wd
}

// Eval is the record of one validation.
type Eval struct {
	Step    int // steps done
	Loss    float64
	Best    bool // no earlier validation had a lower loss
	Seconds float64
}

// Observer is told what happens, in order, on the goroutine of the run. An
// error of an observer ends the run.
type Observer interface {
	Step(Step) error
	Eval(Eval) error
	Inspect(Inspection) error
}

// Nothing is an Observer that ignores everything, to embed in observers that
// care for some records only.
type Nothing struct{}

// Step ignores the record.
func (Nothing) Step(Step) error { return nil }

// Eval ignores the record.
func (Nothing) Eval(Eval) error { return nil }

// Inspect ignores the record.
func (Nothing) Inspect(Inspection) error { return nil }

// Summary is how a run ended.
type Summary struct {
	Steps     int           // done, those of earlier sessions included
	Loss      float64       // of the last step that was applied
	ValLoss   float64       // of the last validation; NaN without one
	BestLoss  float64       // the lowest validation loss; NaN without one
	BestStep  int           // where it was reached
	Skipped   int           // steps that were not applied, those of earlier sessions included
	Tokens    int           // of this session
	Training  time.Duration // of this session, without validation and saving
	Stopped   Reason
	LastError error // why the last step that this session skipped was not applied; nil without one
}

// Reason says why a run ended.
type Reason string

// The reasons.
const (
	Finished    Reason = "finished"
	Interrupted Reason = "interrupted"
	NoProgress  Reason = "no progress" // Patience ran out
)
