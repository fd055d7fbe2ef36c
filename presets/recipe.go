package presets

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// Optimizer names an algorithm of package solvers.
type Optimizer string

// The optimizers.
const (
	AdamW     Optimizer = "adamw"
	Adafactor Optimizer = "adafactor" // PaLM's: not factored, with parameter scaling
)

// Recipe is how a model is trained. It is data: printed, compared, and saved as
// JSON beside a run.
type Recipe struct {
	Optimizer   Optimizer     `json:"optimizer"`
	Policy      string        `json:"policy"` // of package groups: what decays
	LR          float64       `json:"lr"`     // peak
	Schedule    solvers.Curve `json:"schedule"`
	Beta1       float64       `json:"beta1"`
	Beta2       float64       `json:"beta2,omitempty"` // AdamW; Adafactor's is 1 - k^-0.8 at step k
	Eps         float64       `json:"eps,omitempty"`   // AdamW
	WeightDecay float64       `json:"weight_decay"`    // lambda; for Adafactor the factor on lr^2
	Mode        solvers.Mode  `json:"mode"`            // AdamW: what lambda is multiplied by
	Clip        float64       `json:"clip,omitempty"`  // of the global gradient norm; 0 means none
	// DecaySchedule is the course of lambda; nil means constant.
	DecaySchedule *solvers.Curve `json:"decay_schedule,omitempty"`

	// BatchTokens is the number of tokens of an optimizer step at the full
	// size of the system, 0 if it is not known.
	BatchTokens int `json:"batch_tokens,omitempty"`
	// TrainSteps is the length of the run that the schedule is for, 0 if it
	// is not known.
	TrainSteps int `json:"train_steps,omitempty"`
}

// Scaled is r for a run of another length: the lengths of its schedules keep
// their proportions to TrainSteps. A warm-up or hold that r has keeps at least
// one step. Without TrainSteps r stays as it is.
func (r Recipe) Scaled(steps int) Recipe {
	if r.TrainSteps == 0 {
		return r
	}
	scale := func(n *int) {
		if *n > 0 {
			*n = max(1, int(math.Round(float64(*n)*float64(steps)/float64(r.TrainSteps))))
		}
	}
	scaled := func(c solvers.Curve) solvers.Curve {
		scale(&c.Warmup)
		scale(&c.Hold)
		if c.Steps > 0 {
			scale(&c.Steps)
			c.Steps = max(c.Steps, c.Warmup+c.Hold+1)
		}
		return c
	}
	r.Schedule = scaled(r.Schedule)
	if r.DecaySchedule != nil {
		c := scaled(*r.DecaySchedule)
		r.DecaySchedule = &c
	}
	r.TrainSteps = steps
	return r
}

// Solver is what a recipe makes: a gorgonia.Solver that can tell what it does
// and keep its state.
type Solver interface {
	gorgonia.Solver
	Groups() *groups.Groups
	GradNorm() float64
	Steps() int
	Report(step int) (*groups.Report, error)
	Plan(steps int) (solvers.Plan, error)
	PlanStep(step int) (solvers.Plan, error)
	State() solvers.State
	StateView() solvers.State
	Restore(solvers.State) error
}

// Validate refuses a recipe that no solver can follow: numbers by the rules of
// the solver itself, which is tried on a parameter of each kind.
func (r Recipe) Validate() error {
	if r.Optimizer != AdamW && r.Optimizer != Adafactor {
		return errors.Errorf("presets: optimizer = %q, want %q or %q", r.Optimizer, AdamW, Adafactor)
	}
	if r.Optimizer == Adafactor && (r.Beta2 != 0 || r.Eps != 0 || r.Mode != solvers.LRCoupled) {
		return errors.Errorf("presets: beta2 = %v, eps = %v, mode = %v, want none of them set: adafactor has its own", r.Beta2, r.Eps, r.Mode)
	}
	if _, err := groups.PolicyNamed(r.Policy); err != nil {
		return err
	}
	if !(r.Clip >= 0) || math.IsInf(r.Clip, 1) {
		return errors.Errorf("presets: clip = %v, want a finite number >= 0", r.Clip)
	}
	if r.BatchTokens < 0 {
		return errors.Errorf("presets: batch_tokens = %d, want >= 0", r.BatchTokens)
	}
	if r.TrainSteps < 0 {
		return errors.Errorf("presets: train_steps = %d, want >= 0", r.TrainSteps)
	}
	ps, err := graph.NewParams(gorgonia.NewGraph())
	if err != nil {
		return err
	}
	for _, role := range []graph.Role{graph.Weight, graph.TokenEmbedding, graph.Bias, graph.NormGain} { // no policy has a group for less
		if _, err := ps.New(role.String(), role, tensor.Shape{1, 1}, nil); err != nil {
			return err
		}
	}
	gs, err := r.Groups(ps)
	if err != nil {
		return err
	}
	_, err = r.build(gs)
	return err
}

// Groups splits parameters by the recipe's policy.
func (r Recipe) Groups(ps *graph.Params, overrides ...groups.Rule) (*groups.Groups, error) {
	policy, err := groups.PolicyNamed(r.Policy)
	if err != nil {
		return nil, err
	}
	return groups.Split(ps, policy, overrides...)
}

// Solver makes the optimizer of the recipe for groups of parameters.
func (r Recipe) Solver(gs *groups.Groups) (Solver, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r.build(gs)
}

func (r Recipe) build(gs *groups.Groups) (Solver, error) {
	lambda := solvers.Constant()
	if r.DecaySchedule != nil {
		lambda = *r.DecaySchedule
	}
	if r.Optimizer == Adafactor {
		opts := []solvers.AdafactorOption{
			solvers.WithLR(r.LR), solvers.WithSchedule(r.Schedule), solvers.WithWeightDecay(r.WeightDecay),
			solvers.WithDecaySchedule(lambda), solvers.WithMomentum(r.Beta1),
		}
		if r.Clip > 0 {
			opts = append(opts, solvers.WithClipGlobalNorm(r.Clip))
		}
		return solvers.NewAdafactor(gs, opts...)
	}
	opts := []solvers.AdamWOption{
		solvers.WithLR(r.LR), solvers.WithSchedule(r.Schedule), solvers.WithWeightDecay(r.WeightDecay),
		solvers.WithDecaySchedule(lambda), solvers.WithBetas(r.Beta1, r.Beta2), solvers.WithEps(r.Eps), solvers.WithMode(r.Mode),
	}
	if r.Clip > 0 {
		opts = append(opts, solvers.WithClipGlobalNorm(r.Clip))
	}
	return solvers.NewAdamW(gs, opts...)
}
