package train

import (
	"github.com/pkg/errors"
)

// OnBad says what to do about a step that must not be applied.
type OnBad string

// The choices. Either way the step is reported.
const (
	Refuse OnBad = "refuse" // end the run with an error; the default
	Skip   OnBad = "skip"   // leave the weights alone and go on with the next step
)

// Config is what a loop can be told. Zero values are the defaults.
type Config struct {
	Steps     int `json:"steps"`                // optimizer steps of the whole run
	Micro     int `json:"micro,omitempty"`      // micro-batches a step; 0 means 1
	EvalEvery int `json:"eval_every,omitempty"` // steps between validations; 0: only after the last
	// SaveEvery is the number of steps between saves; 0: none for their own
	// sake. Run.Save is called too after each validation that is the best
	// yet, and at the end.
	SaveEvery int `json:"save_every,omitempty"`

	// InspectEvery is the number of steps between looks at the norms of
	// weights, gradients and updates (see [Inspection]); 0: never. A look
	// holds a copy of the weights.
	InspectEvery int `json:"inspect_every,omitempty"`

	// Patience ends the run after so many validations without a new best
	// loss; 0: never.
	Patience int `json:"patience,omitempty"`

	// EMA is the factor d of the averaged weights a = d a + (1-d) w after
	// each step, which are what is validated; 0: none.
	EMA float64 `json:"ema,omitempty"`

	// NonFinite is about steps whose loss or gradient is NaN or infinite.
	NonFinite OnBad `json:"non_finite,omitempty"`

	// OutlierZ skips a step whose loss or gradient norm lies more than so
	// many standard deviations above the mean of the last 128 steps, as
	// llm.c does it; 0: never.
	OutlierZ float64 `json:"outlier_z,omitempty"`
}

// Validate refuses what makes no sense.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"micro", c.Micro}, {"eval_every", c.EvalEvery}, {"save_every", c.SaveEvery},
		{"inspect_every", c.InspectEvery}, {"patience", c.Patience},
	} {
		if f.value < 0 {
			return errors.Errorf("train: %s = %d, want >= 0", f.name, f.value)
		}
	}
	switch {
	case c.Steps < 1:
		return errors.Errorf("train: steps = %d, want >= 1", c.Steps)
	case !(c.EMA >= 0 && c.EMA < 1):
		return errors.Errorf("train: ema = %v, want 0 <= ema < 1", c.EMA)
	case !(c.OutlierZ >= 0):
		return errors.Errorf("train: outlier_z = %v, want >= 0", c.OutlierZ)
	case c.NonFinite != "" && c.NonFinite != Refuse && c.NonFinite != Skip:
		return errors.Errorf("train: non_finite = %q, want %q or %q", c.NonFinite, Refuse, Skip)
	}
	return nil
}
