package solvers_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/solvers"
)

func TestCurves(t *testing.T) {
	for _, c := range []struct {
		name  string
		curve solvers.Curve
		at    map[int]float64
	}{
		{"constant", solvers.Constant(), map[int]float64{0: 0, 1: 1, 1e9: 1}},
		{"constant after warm-up", solvers.Curve{Shape: solvers.ShapeConstant, Warmup: 4}, map[int]float64{1: 0.25, 3: 0.75, 4: 1, 5: 1}},
		{"linear", solvers.Linear(2, 12, 0), map[int]float64{0: 0, 1: 0.5, 2: 1, 3: 0.9, 7: 0.5, 11: 0.1, 12: 0, 13: 0}},
		{"linear without warm-up", solvers.Linear(0, 4, 0.2), map[int]float64{1: 0.8, 2: 0.6, 4: 0.2, 5: 0.2}},
		{"cosine", solvers.WarmupCosine(10, 110, 0.1), map[int]float64{
			1: 0.1, 9: 0.9, 10: 1, 11: 0.1 + 0.45*(1+math.Cos(math.Pi/100)), 60: 0.55, 109: 0.1 + 0.45*(1+math.Cos(0.99*math.Pi)), 110: 0.1, 111: 0.1, 1e6: 0.1}},
		{"warm-up, stable, decay", solvers.WarmupStableDecay(5, 10, 115, 0), map[int]float64{1: 0.2, 5: 1, 15: 1, 16: 0.9, 40: 0.5, 64: 0.3, 115: 0, 116: 0}},
		{"stable, linear decay", solvers.Curve{Shape: solvers.ShapeLinear, Warmup: 5, Hold: 10, Steps: 115, Floor: 0.5}, map[int]float64{15: 1, 65: 0.75, 115: 0.5}},
		{"inverse square root", solvers.InverseSqrt(4, 0), map[int]float64{1: 0.25, 4: 1, 16: 0.5, 400: 0.1}},
		{"PaLM", solvers.InverseSqrt(0, 10000), map[int]float64{1: 1, 10000: 1, 40000: 0.5, 1000000: 0.1}},
		{"inverse square root with a floor", solvers.Curve{Shape: solvers.ShapeInverseSqrt, Warmup: 1, Floor: 0.5}, map[int]float64{4: 0.5, 100: 0.5}},
	} {
		require.NoError(t, c.curve.Validate(), c.name)
		for step, want := range c.at {
			assert.InDelta(t, want, c.curve.At(step), 1e-15, "%s at %d", c.name, step)
		}
		text, err := json.Marshal(c.curve)
		require.NoError(t, err)
		var back solvers.Curve
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, c.curve, back)
	}
	text, err := json.Marshal(solvers.WarmupCosine(2000, 600000, 0.1))
	require.NoError(t, err)
	assert.Equal(t, `{"shape":"cosine","warmup":2000,"steps":600000,"floor":0.1}`, string(text))
}

// nanoGPT's get_lr, which counts iterations from 0.
func TestNanoGPTSchedule(t *testing.T) {
	const lr, minLR, warmup, decay = 6e-4, 6e-5, 20, 100
	getLR := func(it int) float64 {
		if it < warmup {
			return lr * float64(it+1) / (warmup + 1)
		}
		if it > decay {
			return minLR
		}
		ratio := float64(it-warmup) / (decay - warmup)
		return minLR + 0.5*(1+math.Cos(math.Pi*ratio))*(lr-minLR)
	}
	curve := solvers.WarmupCosine(warmup+1, decay+1, minLR/lr)
	for it := range 120 {
		assert.InDelta(t, getLR(it), lr*curve.At(it+1), 1e-18, it)
	}
}

func TestCurvesRefused(t *testing.T) {
	for want, c := range map[string]solvers.Curve{
		`shape = ""`:                  {},
		`shape = "cosinus"`:           {Shape: "cosinus"},
		"warmup = -1":                 solvers.Linear(-1, 10, 0),
		"hold = -2":                   solvers.WarmupStableDecay(0, -2, 10, 0),
		"floor = NaN":                 solvers.WarmupCosine(1, 10, math.NaN()),
		"floor = 1.5":                 solvers.WarmupCosine(1, 10, 1.5),
		"floor = -0.1":                solvers.WarmupCosine(1, 10, -0.1),
		"steps = 10, want more than":  solvers.WarmupCosine(10, 10, 0),
		"steps = 12, want more than":  solvers.WarmupStableDecay(10, 2, 12, 0),
		"steps = 0, want more than":   solvers.Linear(0, 0, 0),
		"needs warmup + hold >= 1":    solvers.InverseSqrt(0, 0),
		"steps = -5, want more than ": solvers.Linear(0, -5, 0),
	} {
		assert.ErrorContains(t, c.Validate(), want)
	}
}
