package train

import (
	"bufio"
	"encoding/json"
	"io"
	"math"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// Replay tells an observer again what a JSONL file says of the first steps
// steps, so that the files of a run that is resumed continue as if it had never
// stopped. Of the rates of a step it knows the largest learning rate and decay
// alone. What comes after those steps, such as a line that was cut short, is
// ignored. If the records of some of the steps are not there, it fails with
// [ErrGap] after it has told the others.
func Replay(r io.Reader, steps int, o Observer) error {
	lines := bufio.NewReader(r)
	told := 0 // steps
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF { // without its line break, the last line is not whole
			if told < steps {
				return errors.Wrapf(ErrGap, "train: replay: %d steps, want %d", told, steps)
			}
			return nil
		}
		if err != nil {
			return errors.Wrap(err, "train: replay")
		}
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			if told == steps { // a crash may leave anything after what was flushed
				return nil
			}
			return errors.Wrapf(err, "train: replay: line %d", n)
		}
		if rec.Step > steps {
			continue
		}
		if rec.isStep() {
			told++
		}
		if err := rec.tell(o); err != nil {
			return err
		}
	}
}

// ErrGap: a JSONL file does not have all the steps that it should.
var ErrGap = errors.New("records of steps are missing")

// record is any line of a JSONL file.
type record struct {
	Step     int             `json:"step"`
	Loss     *float64        `json:"loss"`
	LR       *float64        `json:"lr"`
	Decay    *float64        `json:"weight_decay"`
	GradNorm *float64        `json:"grad_norm"`
	Speed    *float64        `json:"tokens_per_second"`
	Skipped  string          `json:"skipped"`
	ValLoss  json.RawMessage `json:"val_loss"`
	Best     bool            `json:"best"`
	Inside   []struct {
		Group       string     `json:"group"`
		Role        graph.Role `json:"role"`
		Params      int        `json:"params"`
		WeightNorm  *float64   `json:"weight_norm"`
		GradNorm    *float64   `json:"grad_norm"`
		UpdateRatio *float64   `json:"update_ratio"`
		DecayShare  *float64   `json:"decay_share"`
		Tau         *float64   `json:"tau_steps"`
	} `json:"inside"`
	Warnings []string `json:"warnings"`
}

func (r *record) isStep() bool { return r.Inside == nil && r.ValLoss == nil }

func (r *record) tell(o Observer) error {
	switch {
	case r.Inside != nil:
		in := Inspection{Step: r.Step, Warnings: r.Warnings}
		for _, x := range r.Inside {
			tau := math.Inf(1)
			if x.Tau != nil {
				tau = *x.Tau
			}
			in.Rows = append(in.Rows, Inside{x.Group, x.Role, x.Params, orNaN(x.WeightNorm), orNaN(x.GradNorm), orNaN(x.UpdateRatio), orNaN(x.DecayShare), tau})
		}
		return o.Inspect(in)
	case r.ValLoss != nil:
		var loss *float64
		if err := json.Unmarshal(r.ValLoss, &loss); err != nil {
			return errors.Wrap(err, "train: replay")
		}
		return o.Eval(Eval{Step: r.Step, Loss: orNaN(loss), Best: r.Best})
	}
	return o.Step(Step{
		Step: r.Step, Loss: orNaN(r.Loss), GradNorm: orNaN(r.GradNorm), Skipped: r.Skipped, speed: orZero(r.Speed),
		Rates: solvers.Plan{{Step: r.Step, Rate: groups.Rate{LR: orZero(r.LR), Lambda: orZero(r.Decay)}}},
	})
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

func orZero(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}
