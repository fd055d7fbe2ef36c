package train

import (
	"encoding/json"
	"io"
	"math"

	"github.com/pkg/errors"
)

// JSONL writes one JSON object a line: for a step
//
//	{"step":1,"loss":4.2,"lr":1e-05,"weight_decay":0.1,"grad_norm":2.1,"tokens_per_second":51000}
//
// with "skipped" saying why, if the step was not applied; for a validation
//
//	{"step":250,"val_loss":2.4,"best":true}
//
// and for a look inside the step {"step":100,"inside":[...],"warnings":[...]}.
// A number that is not finite is null.
type JSONL struct{ enc *json.Encoder }

// NewJSONL writes to w.
func NewJSONL(w io.Writer) *JSONL { return &JSONL{json.NewEncoder(w)} }

// number is a float64 whose JSON is null where JSON has no number.
type number float64

func (x number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(x))
}

// Step writes the record.
func (j *JSONL) Step(s Step) error {
	return j.write(struct {
		Step     int    `json:"step"`
		Loss     number `json:"loss"`
		LR       number `json:"lr"`
		Decay    number `json:"weight_decay"`
		GradNorm number `json:"grad_norm"`
		Speed    number `json:"tokens_per_second"`
		Skipped  string `json:"skipped,omitempty"`
	}{s.Step, number(s.Loss), number(s.LR()), number(s.WeightDecay()), number(s.GradNorm), number(s.TokensPerSecond()), s.Skipped})
}

// Eval writes the record.
func (j *JSONL) Eval(e Eval) error {
	return j.write(struct {
		Step int    `json:"step"`
		Loss number `json:"val_loss"`
		Best bool   `json:"best"`
	}{e.Step, number(e.Loss), e.Best})
}

// Inspect writes the record.
func (j *JSONL) Inspect(in Inspection) error {
	type inside struct {
		Group       string `json:"group"`
		Role        string `json:"role"`
		Params      int    `json:"params"`
		WeightNorm  number `json:"weight_norm"`
		GradNorm    number `json:"grad_norm"`
		UpdateRatio number `json:"update_ratio"`
		DecayShare  number `json:"decay_share"`
		Tau         number `json:"tau_steps"`
	}
	rows := make([]inside, len(in.Rows))
	for i, r := range in.Rows {
		rows[i] = inside{r.Group, r.Role.String(), r.Params, number(r.WeightNorm), number(r.GradNorm), number(r.UpdateRatio), number(r.DecayShare), number(r.Tau)}
	}
	return j.write(struct {
		Step     int      `json:"step"`
		Rows     []inside `json:"inside"`
		Warnings []string `json:"warnings,omitempty"`
	}{in.Step, rows, in.Warnings})
}

func (j *JSONL) write(v any) error { return errors.Wrap(j.enc.Encode(v), "train: metrics") }

// MarshalJSON writes the summary; a loss that is not there is null.
func (s Summary) MarshalJSON() ([]byte, error) {
	reason := ""
	if s.LastError != nil {
		reason = s.LastError.Error()
	}
	return json.Marshal(struct {
		Stopped  Reason  `json:"stopped"`
		Steps    int     `json:"steps"`
		Loss     number  `json:"loss"`
		ValLoss  number  `json:"val_loss"`
		BestLoss number  `json:"best_val_loss"`
		BestStep int     `json:"best_step"`
		Tokens   int     `json:"tokens"`
		Seconds  float64 `json:"training_seconds"`
		Skipped  int     `json:"skipped,omitempty"`
		Reason   string  `json:"last_skip,omitempty"`
	}{s.Stopped, s.Steps, number(s.Loss), number(s.ValLoss), number(s.BestLoss), s.BestStep, s.Tokens, s.Training.Seconds(), s.Skipped, reason})
}
