package train_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// TestNonFiniteGradientDoesNotBlindTheOutlierGuard: with inputs of 1e80 the
// loss is 1e160 and the gradient as large, so that its square overflows. It must
// not enter the window, which is saved as JSON and judges the steps after it.
func TestNonFiniteGradientDoesNotBlindTheOutlierGuard(t *testing.T) {
	k := newTask(t, train.Config{Steps: 160, OutlierZ: 6, NonFinite: train.Skip})
	k.spoilt[20] = math.NaN()
	k.large[30] = 1e80
	k.spoilt[150] = 1000
	sum, err := k.run.Train(context.Background())
	require.NoError(t, err)
	require.Equal(t, 3, sum.Skipped)
	require.Contains(t, k.seen.steps[30].Skipped, "w: is not finite")
	require.Contains(t, k.seen.steps[150].Skipped, "outlier")
	_, err = json.Marshal(k.run.State())
	require.NoError(t, err)

	k = newTask(t, train.Config{Steps: 40, OutlierZ: 6})
	k.large[30] = 1e80
	_, err = k.run.Train(context.Background())
	require.ErrorIs(t, err, solvers.ErrNonFinite)
}

func TestRefusedStepKeepsTheRunBeforeIt(t *testing.T) {
	k := newTask(t, train.Config{Steps: 6})
	k.spoilt[3] = math.NaN()
	var saved []int
	k.run.Save = func(s train.State, _ bool) error { saved = append(saved, s.Step); return nil }
	_, err := k.run.Train(context.Background())
	require.ErrorIs(t, err, graph.ErrNonFiniteLoss)
	require.Equal(t, []int{3}, saved)
}

func TestValidationLossMustBeFinite(t *testing.T) {
	k := newTask(t, train.Config{Steps: 6, EvalEvery: 2})
	k.run.Validate = func(context.Context) (float64, error) { return math.NaN(), nil }
	_, err := k.run.Train(context.Background())
	require.ErrorContains(t, err, "validation loss after step 2 = NaN")
	require.Zero(t, k.run.State().Evals)
}

// TestFinishedRunStaysFinished: a run that is resumed at its end does nothing,
// and tells the same summary.
func TestFinishedRunStaysFinished(t *testing.T) {
	for _, c := range []train.Config{{Steps: 8, EvalEvery: 4}, {Steps: 100, EvalEvery: 4, Patience: 1}} {
		start := func() *task {
			k := newTask(t, c)
			k.run.Validate = func(context.Context) (float64, error) { return float64(k.run.Program.Steps()), nil }
			return k
		}
		a, b := start(), start()
		var state train.State
		a.run.Save = func(s train.State, _ bool) error { state = s; return nil }
		first, err := a.run.Train(context.Background())
		require.NoError(t, err)
		require.NoError(t, b.run.Resume(state))
		b.run.Save = func(train.State, bool) error { t.Error("saved again"); return nil }
		again, err := b.run.Train(context.Background())
		require.NoError(t, err)
		require.Empty(t, b.seen.steps)
		require.Empty(t, b.seen.evals)
		first.Tokens, first.Training = 0, 0 // of the session
		require.Equal(t, first, again)
	}
}

// forgetful tells a decay of 0.1 that it does not make.
type forgetful struct{ *solvers.AdamW }

func (f forgetful) Report(step int) (*groups.Report, error) {
	r, err := f.AdamW.Report(step)
	for _, row := range r.Rows {
		row.Rate.Shrink = 0.1
	}
	return r, err
}

// TestDecayThatDoesNotShrinkIsWarnedOf: of two parameters one has no gradient,
// so that each step must take its decay from it and nothing else.
func TestDecayThatDoesNotShrinkIsWarnedOf(t *testing.T) {
	for name, forget := range map[string]bool{"as it must": false, "too little": true} {
		ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithDtype(tensor.Float32), graph.WithSeed(2))
		require.NoError(t, err)
		w, err := ps.New("w", graph.Weight, tensor.Shape{3, 2}, graph.Normal(1))
		require.NoError(t, err)
		idle, err := ps.New("idle", graph.Weight, tensor.Shape{3, 2}, graph.Normal(1))
		require.NoError(t, err)
		zero := gorgonia.NewConstant(tensor.New(tensor.WithShape(3, 2), tensor.WithBacking(make([]float32, 6))))
		cost := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(w.Node())))),
			gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.HadamardProd(zero, idle.Node()))))))
		prog, err := graph.Compile(cost, ps)
		require.NoError(t, err)
		gs, err := groups.Split(ps, groups.DecayAllPolicy())
		require.NoError(t, err)
		adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.01), solvers.WithWeightDecay(0.5))
		require.NoError(t, err)
		seen := &log{}
		r := &train.Run{Config: train.Config{Steps: 20, InspectEvery: 5}, Program: prog, Solver: adamw, Params: ps,
			Batch: func(int, int) (graph.Feed, error) { return nil, nil }, Observers: []train.Observer{seen}}
		if forget {
			r.Solver = forgetful{adamw}
		}
		_, err = r.Train(context.Background())
		require.NoError(t, err)
		require.Len(t, seen.looks, 4)
		if !forget {
			require.Empty(t, seen.looks[0].Warnings, name)
			continue
		}
		require.Len(t, seen.looks[0].Warnings, 1, name)
		require.Contains(t, seen.looks[0].Warnings[0], "idle: does not shrink as it must")
		require.Empty(t, seen.looks[1].Warnings[1:], "numbers change, so it may come again")
	}
}
