package train_test

import (
	"context"
	"math"
	"testing"

	"github.com/pkg/errors"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// task is a small regression, mean((x w - y)^2) over 4 rows, trained by AdamW.
type task struct {
	run    *train.Run
	ps     *graph.Params
	adamw  *solvers.AdamW
	x, y   *gorgonia.Node
	spoilt map[int]float64 // step -> what its targets are multiplied by
	large  map[int]float64 // step -> what its inputs are multiplied by
	seen   *log
}

// log keeps all records.
type log struct {
	steps  []train.Step
	evals  []train.Eval
	looks  []train.Inspection
	onStep func(train.Step) error
}

func (l *log) Step(s train.Step) error {
	l.steps = append(l.steps, s)
	if l.onStep != nil {
		return l.onStep(s)
	}
	return nil
}
func (l *log) Eval(e train.Eval) error          { l.evals = append(l.evals, e); return nil }
func (l *log) Inspect(i train.Inspection) error { l.looks = append(l.looks, i); return nil }

func newTask(t *testing.T, c train.Config) *task {
	t.Helper()
	k := &task{spoilt: map[int]float64{}, large: map[int]float64{}, seen: &log{}}
	g := gorgonia.NewGraph()
	var err error
	k.ps, err = graph.NewParams(g, graph.WithDtype(tensor.Float64), graph.WithSeed(2))
	require.NoError(t, err)
	w, err := k.ps.New("w", graph.Weight, tensor.Shape{3, 1}, graph.Normal(1))
	require.NoError(t, err)
	k.x = gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(4, 3), gorgonia.WithName("x"))
	k.y = gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(4, 1), gorgonia.WithName("y"))
	require.NoError(t, k.ps.Input(k.x, k.y))
	cost := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(gorgonia.Must(gorgonia.Mul(k.x, w.Node())), k.y))))))
	prog, err := graph.Compile(cost, k.ps)
	require.NoError(t, err)
	gs, err := groups.Split(k.ps, groups.DecayAllPolicy())
	require.NoError(t, err)
	k.adamw, err = solvers.NewAdamW(gs, solvers.WithLR(0.05), solvers.WithWeightDecay(0.1),
		solvers.WithSchedule(solvers.WarmupCosine(5, 40, 0.1)), solvers.WithClipGlobalNorm(1))
	require.NoError(t, err)
	k.run = &train.Run{Config: c, Program: prog, Solver: k.adamw, Params: k.ps, Batch: k.batch, Observers: []train.Observer{k.seen}}
	return k
}

func (k *task) batch(step, micro int) (graph.Feed, error) {
	factor, ok := k.spoilt[step]
	if !ok {
		factor = 1
	}
	x, y := make([]float64, 12), make([]float64, 4)
	for i := range y {
		a := float64(step*31+micro*7+i) * 0.7
		x[3*i], x[3*i+1], x[3*i+2] = math.Sin(a), math.Cos(1.3*a), 1
		y[i] = (x[3*i] - 2*x[3*i+1] + 0.5) * factor
	}
	if by, ok := k.large[step]; ok {
		for i := range x {
			x[i] *= by
		}
	}
	return graph.Feed{k.x: x, k.y: y}, nil
}

func (k *task) weights() []float64 {
	_, f64, _ := graph.Floats(k.ps.Get("w").Value())
	return append([]float64(nil), f64...)
}

func TestRunReportsEveryStep(t *testing.T) {
	k := newTask(t, train.Config{Steps: 40, Micro: 2, EvalEvery: 15, InspectEvery: 10})
	k.run.Validate = func(context.Context) (float64, error) { return 1 / float64(k.run.Program.Steps()), nil }
	sum, err := k.run.Train(context.Background())
	require.NoError(t, err)
	require.Len(t, k.seen.steps, 40)
	plan, err := k.adamw.Plan(40)
	require.NoError(t, err)
	for i, s := range k.seen.steps {
		require.Equal(t, i+1, s.Step)
		require.Equal(t, plan[i].LR, s.LR(), "the record shows what the solver does")
		require.Equal(t, 0.1, s.WeightDecay())
		require.Positive(t, s.GradNorm)
		require.Empty(t, s.Skipped)
	}
	var at []int
	for _, e := range k.seen.evals {
		require.True(t, e.Best)
		at = append(at, e.Step)
	}
	require.Equal(t, []int{15, 30, 40}, at)
	require.Equal(t, train.Finished, sum.Stopped)
	require.Equal(t, 40, sum.BestStep)
	require.Equal(t, 1.0/40, sum.ValLoss)
	require.Less(t, k.seen.steps[39].Loss, k.seen.steps[0].Loss/2)
	require.Equal(t, k.seen.steps[39].Loss, sum.Loss)
}

func TestInspectionIsWhatTheStepDid(t *testing.T) {
	k := newTask(t, train.Config{Steps: 3, InspectEvery: 2})
	weights := [][]float64{k.weights()}
	k.seen.onStep = func(train.Step) error { weights = append(weights, k.weights()); return nil }
	_, err := k.run.Train(context.Background())
	require.NoError(t, err)
	var weight, update float64
	for i, before := range weights[1] {
		weight += before * before
		update += (weights[2][i] - before) * (weights[2][i] - before)
	}
	step := k.seen.steps[1]
	shrink := step.Rates[0].Shrink
	require.Len(t, k.seen.looks, 1)
	r := k.seen.looks[0].Rows[0]
	require.Equal(t, graph.Weight, r.Role)
	require.Equal(t, 3, r.Params)
	require.InEpsilon(t, math.Sqrt(weight), r.WeightNorm, 1e-12)
	require.InEpsilon(t, math.Sqrt(update/weight), r.UpdateRatio, 1e-12)
	require.InEpsilon(t, shrink*math.Sqrt(weight/update), r.DecayShare, 1e-12)
	require.InEpsilon(t, 1/shrink, r.Tau, 1e-12)
	require.InEpsilon(t, step.GradNorm, r.GradNorm, 1e-12)
	require.Contains(t, k.seen.looks[0].Warnings[0], "next to nothing")
}

func TestDecayThatForgetsIsWarnedOf(t *testing.T) {
	k := newTask(t, train.Config{Steps: 30, InspectEvery: 10})
	gs := k.adamw.Groups()
	var err error
	k.run.Solver, err = solvers.NewAdamW(gs, solvers.WithLR(0.05), solvers.WithWeightDecay(5))
	require.NoError(t, err)
	_, err = k.run.Train(context.Background())
	require.NoError(t, err)
	require.Len(t, k.seen.looks, 3)
	require.Equal(t, []string{"group decay: its decay forgets a weight within 4 steps"}, k.seen.looks[0].Warnings)
	require.Empty(t, k.seen.looks[1].Warnings, "each thing is said once")
}

func TestNonFiniteStepIsRefusedOrSkipped(t *testing.T) {
	k := newTask(t, train.Config{Steps: 6})
	k.spoilt[3] = math.NaN()
	_, err := k.run.Train(context.Background())
	require.ErrorIs(t, err, graph.ErrNonFiniteLoss)
	require.ErrorContains(t, err, "step 4")
	require.Equal(t, 3, k.run.Program.Steps())

	k = newTask(t, train.Config{Steps: 6, NonFinite: train.Skip})
	k.spoilt[3] = math.NaN()
	weights := map[int][]float64{}
	k.seen.onStep = func(s train.Step) error { weights[s.Step] = k.weights(); return nil }
	sum, err := k.run.Train(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, sum.Skipped)
	require.Error(t, sum.LastError)
	require.Contains(t, k.seen.steps[3].Skipped, "NaN")
	require.Equal(t, weights[3], weights[4], "a skipped step changes nothing")
	require.NotEqual(t, weights[4], weights[5])
	require.Equal(t, 5, k.adamw.Steps())
	require.Equal(t, k.seen.steps[3].LR(), k.seen.steps[4].LR(), "the solver's step was not used up")
}

func TestOutlierIsSkipped(t *testing.T) {
	k := newTask(t, train.Config{Steps: 160, OutlierZ: 6})
	k.spoilt[140] = 1000
	sum, err := k.run.Train(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, sum.Skipped)
	require.Contains(t, k.seen.steps[140].Skipped, "outlier")
	require.ErrorContains(t, sum.LastError, "outlier")
	for _, i := range []int{20, 139, 141} {
		require.Empty(t, k.seen.steps[i].Skipped)
	}
}

func TestPatienceEndsTheRun(t *testing.T) {
	k := newTask(t, train.Config{Steps: 100, EvalEvery: 5, Patience: 2})
	losses := []float64{3, 2, 2.5, 2.2, 1}
	k.run.Validate = func(context.Context) (float64, error) {
		l := losses[0]
		losses = losses[1:]
		return l, nil
	}
	sum, err := k.run.Train(context.Background())
	require.NoError(t, err)
	require.Equal(t, train.NoProgress, sum.Stopped)
	require.Equal(t, 20, sum.Steps)
	require.Equal(t, 2.0, sum.BestLoss)
	require.Equal(t, 10, sum.BestStep)
}

func TestAverageIsValidatedAndNotTrained(t *testing.T) {
	const d = 0.9
	plain := newTask(t, train.Config{Steps: 20})
	_, err := plain.run.Train(context.Background())
	require.NoError(t, err)

	k := newTask(t, train.Config{Steps: 20, EMA: d})
	want := k.weights()
	k.seen.onStep = func(train.Step) error {
		for i, w := range k.weights() {
			want[i] = d*want[i] + (1-d)*w
		}
		return nil
	}
	var validated []float64
	k.run.Validate = func(context.Context) (float64, error) { validated = k.weights(); return 0, nil }
	_, err = k.run.Train(context.Background())
	require.NoError(t, err)
	require.InDeltaSlice(t, want, validated, 1e-12)
	require.Equal(t, plain.weights(), k.weights(), "averaging does not touch the training")
}

func TestInterruptionFinishesTheStepAndSaves(t *testing.T) {
	k := newTask(t, train.Config{Steps: 50})
	ctx, cancel := context.WithCancel(context.Background())
	k.seen.onStep = func(s train.Step) error {
		if s.Step == 7 {
			cancel()
		}
		return nil
	}
	var saved []int
	k.run.Save = func(s train.State, _ bool) error { saved = append(saved, s.Step); return nil }
	sum, err := k.run.Train(ctx)
	require.NoError(t, err)
	require.Equal(t, train.Interrupted, sum.Stopped)
	require.Equal(t, 7, sum.Steps)
	require.Equal(t, []int{7}, saved)
}

func TestResumeEndsInTheSameBits(t *testing.T) {
	config := train.Config{Steps: 30, Micro: 2, EMA: 0.8, OutlierZ: 8, EvalEvery: 4, InspectEvery: 3, NonFinite: train.Skip}
	start := func() *task {
		k := newTask(t, config)
		k.spoilt[9] = math.Inf(1)
		k.run.Validate = func(context.Context) (float64, error) { return k.weights()[0], nil }
		return k
	}
	whole := start()
	_, err := whole.run.Train(context.Background())
	require.NoError(t, err)
	end := whole.run.State()
	for stop := 1; stop < 30; stop++ {
		a := start()
		ctx, cancel := context.WithCancel(context.Background())
		a.seen.onStep = func(s train.Step) error {
			if s.Step == stop {
				cancel()
			}
			return nil
		}
		var state train.State
		a.run.Save = func(s train.State, _ bool) error { state = s; return nil }
		_, err := a.run.Train(ctx)
		require.NoError(t, err)

		b := start()
		require.NoError(t, b.run.Resume(state))
		_, w, _ := graph.Floats(b.ps.Get("w").Value())
		copy(w, a.weights())
		require.NoError(t, b.adamw.Restore(a.adamw.State()))
		sum, err := b.run.Train(context.Background())
		require.NoError(t, err)
		require.Equal(t, 1, sum.Skipped, "of all sessions")
		require.Equal(t, whole.weights(), b.weights(), "stopped after step %d", stop)
		require.Equal(t, whole.seen.looks, append(a.seen.looks, b.seen.looks...), "each thing is said once")
		require.Equal(t, len(whole.seen.evals), len(a.seen.evals)+len(b.seen.evals))
		got := b.run.State()
		require.Equal(t, end.Average["w"].Data(), got.Average["w"].Data())
		got.Average, end.Average["w"] = end.Average, end.Average["w"]
		require.Equal(t, end, got)
	}
}

func TestRunRefuses(t *testing.T) {
	for want, c := range map[string]train.Config{
		"steps = 0":       {},
		"micro = -1":      {Steps: 1, Micro: -1},
		"eval_every = -2": {Steps: 1, EvalEvery: -2},
		"ema = 1":         {Steps: 1, EMA: 1},
		"ema = NaN":       {Steps: 1, EMA: math.NaN()},
		"outlier_z = NaN": {Steps: 1, OutlierZ: math.NaN()},
		"non_finite":      {Steps: 1, NonFinite: "ignore"},
	} {
		_, err := newTask(t, c).run.Train(context.Background())
		require.ErrorContains(t, err, want)
	}
	_, err := (&train.Run{Config: train.Config{Steps: 1}}).Train(context.Background())
	require.ErrorContains(t, err, "needs Program")

	k := newTask(t, train.Config{Steps: 9})
	k.seen.onStep = func(s train.Step) error { return errors.New("disk full") }
	_, err = k.run.Train(context.Background())
	require.ErrorContains(t, err, "disk full")
	require.Equal(t, 1, k.run.Program.Steps())
	require.ErrorContains(t, k.run.Resume(train.State{Average: map[string]gorgonia.Value{}}), "ema = 0")
}
