package solvers_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// The plan is what the steps then do: its shrink is that of the weights.
func TestPlanIsWhatHappens(t *testing.T) {
	for kind := range kinds(t, mixed(t, registered...)) {
		b := mixed(t, registered...)
		s := kinds(t, b)[kind]
		plan, err := s.(interface {
			Plan(int) (solvers.Plan, error)
		}).Plan(20)
		require.NoError(t, err)
		require.Len(t, plan, 40)
		matrix := b.pairs["matrix"]
		for i := 0; i < len(plan); i += 2 {
			require.Equal(t, i/2+1, plan[i].Step)
			require.Equal(t, groups.Decay, plan[i].Group)
			require.Equal(t, groups.NoDecay, plan[i+1].Group)
			require.Zero(t, plan[i+1].Shrink)
			require.Positive(t, plan[i].Shrink)
			before := matrix.weights()[0]
			require.NoError(t, s.Step(b.list())) // all gradients are zero
			require.InEpsilon(t, before*(1-plan[i].Shrink), matrix.weights()[0], 1e-6, "%s step %d", kind, i/2+1)
		}
	}
}

func TestPlanCSV(t *testing.T) {
	b := mixed(t, registered...)
	s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()), solvers.WithLR(0.5), solvers.WithWeightDecay(0.5), solvers.WithSchedule(solvers.Linear(2, 4, 0)))
	require.NoError(t, err)
	plan, err := s.Plan(4)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, plan.WriteCSV(&out))
	require.Equal(t, `step,group,lr,weight_decay,shrink,tau_steps
1,decay,0.25,0.5,0.125,8
1,no_decay,0.25,0,0,
2,decay,0.5,0.5,0.25,4
2,no_decay,0.5,0,0,
3,decay,0.25,0.5,0.125,8
3,no_decay,0.25,0,0,
4,decay,0,0.5,0,
4,no_decay,0,0,0,
`, out.String())
	require.ErrorIs(t, plan.WriteCSV(full{}), assert.AnError)
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, assert.AnError }

func TestReportHasTheEffectiveNumbers(t *testing.T) {
	b := mixed(t, registered...)
	s, err := solvers.NewAdamW(b.split(groups.GPT2Policy()), solvers.WithLR(1e-3), solvers.WithWeightDecay(0.1),
		solvers.WithSchedule(solvers.WarmupCosine(10, 100, 0.1)))
	require.NoError(t, err)
	r, err := s.Report(10)
	require.NoError(t, err)
	require.Len(t, r.Rows, 4)
	require.Equal(t, groups.Rate{LR: 1e-3, Lambda: 0.1, Shrink: 1e-4}, *r.Rows[0].Rate)
	require.InDelta(t, 1e4, r.Rows[0].Rate.Tau(), 1e-6)
	require.Equal(t, groups.Rate{LR: 1e-3}, *r.Rows[1].Rate)
	require.True(t, math.IsInf(r.Rows[1].Rate.Tau(), 1))
	r, err = s.Report(1)
	require.NoError(t, err)
	require.InDelta(t, 1e-4, r.Rows[0].Rate.LR, 1e-18)
	_, err = s.Report(0)
	require.ErrorContains(t, err, "step = 0")
}

// A decay that float32 rounds away is noted, and does not happen.
func TestReportNotesADecayWithoutEffect(t *testing.T) {
	b := newBench(t)
	single := b.add("single", graph.Weight, float32s([]int{1, 1}, 1))
	double := b.add("double", graph.Weight, float64s([]int{1, 1}, 1))
	s := newAdamW(t, b, solvers.WithLR(1e-6), solvers.WithWeightDecay(0.01))
	r, err := s.Report(1)
	require.NoError(t, err)
	require.Equal(t, "the decay has no effect, 1 - shrink is 1 in float32", r.Rows[0].Rate.Note)
	require.Empty(t, r.Rows[1].Rate.Note)
	var text strings.Builder
	require.NoError(t, r.WriteText(&text))
	require.Contains(t, text.String(), "NOTE: the decay has no effect")
	require.NoError(t, s.Step(b.list()))
	require.Equal(t, []float64{1}, single.weights())
	require.Less(t, double.weights()[0], 1.0)
}
