package presets_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/solvers"
)

func TestRecipesThatNoSolverCanFollow(t *testing.T) {
	for want, change := range map[string]func(*presets.Recipe){
		"lr = NaN":           func(r *presets.Recipe) { r.LR = math.NaN() },
		"lr = -1":            func(r *presets.Recipe) { r.LR = -1 },
		"beta1 = 1":          func(r *presets.Recipe) { r.Beta1 = 1 },
		"beta2 = -0.1":       func(r *presets.Recipe) { r.Beta2 = -0.1 },
		"eps":                func(r *presets.Recipe) { r.Eps = math.Inf(1) },
		"weight decay = NaN": func(r *presets.Recipe) { r.WeightDecay = math.NaN() },
		"policy":             func(r *presets.Recipe) { r.Policy = "mine" },
		"shape":              func(r *presets.Recipe) { r.DecaySchedule = &solvers.Curve{} },
	} {
		r := presets.NanoGPTCPU(65).Recipe
		change(&r)
		require.ErrorContains(t, r.Validate(), want)
	}
}

func TestDecaySchedule(t *testing.T) {
	e := presets.NanoGPTCPU(65)
	lambda := solvers.Linear(0, 100, 0.5)
	e.Recipe.DecaySchedule, e.Recipe.TrainSteps = &lambda, 100
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = ps.New("w", graph.Weight, tensor.Shape{2, 2}, nil)
	require.NoError(t, err)
	e.Recipe.Policy = groups.DecayAllPolicy().Name
	gs, err := e.Recipe.Groups(ps)
	require.NoError(t, err)
	for steps, r := range map[int]presets.Recipe{100: e.Recipe, 10: e.Recipe.Scaled(10)} {
		solver, err := r.Solver(gs)
		require.NoError(t, err)
		for step, factor := range map[int]float64{steps / 2: 0.75, steps: 0.5, steps * 2: 0.5} {
			rows, err := solver.PlanStep(step)
			require.NoError(t, err)
			require.InDelta(t, factor*r.WeightDecay, rows[0].Lambda, 1e-12)
		}
	}
	require.Equal(t, 100, lambda.Steps, "a scaled recipe is a copy")
}
