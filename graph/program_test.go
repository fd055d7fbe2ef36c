package graph_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
)

// regression is mean((x*w + b - y)^2) of Gorgonia's stock ops over n rows.
type regression struct {
	ps         *graph.Params
	x, y, cost *gorgonia.Node
}

func newRegression(t *testing.T, ps *graph.Params, n int) regression {
	t.Helper()
	g := ps.Graph()
	w, err := ps.New("w", graph.Weight, tensor.Shape{2, 1}, graph.Normal(1))
	require.NoError(t, err)
	b, err := ps.New("b", graph.Bias, tensor.Shape{1, 1}, nil)
	require.NoError(t, err)
	x := gorgonia.NewMatrix(g, ps.Dtype(), gorgonia.WithShape(n, 2), gorgonia.WithName("x"))
	y := gorgonia.NewMatrix(g, ps.Dtype(), gorgonia.WithShape(n, 1), gorgonia.WithName("y"))
	ones := gorgonia.NewMatrix(g, ps.Dtype(), gorgonia.WithShape(n, 1), gorgonia.WithName("ones"))
	require.NoError(t, ps.Input(x, y, ones))
	onesV := tensor.New(tensor.Of(ps.Dtype()), tensor.WithShape(n, 1))
	require.NoError(t, onesV.Memset(map[bool]any{true: float32(1), false: 1.0}[ps.Dtype() == tensor.Float32]))
	require.NoError(t, gorgonia.Let(ones, onesV))
	pred := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Mul(x, w.Node())), gorgonia.Must(gorgonia.Mul(ones, b.Node()))))
	diff := gorgonia.Must(gorgonia.Sub(pred, y))
	return regression{ps, x, y, gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(diff))))}
}

func (r regression) feed(from, n int) graph.Feed {
	x, y := make([]float64, 2*n), make([]float64, n)
	for i := range y {
		a, b := math.Sin(float64(from+i)), math.Cos(float64(3*(from+i)))
		x[2*i], x[2*i+1], y[i] = a, b, 2*a-b+0.5
	}
	return graph.Feed{r.x: x, r.y: y}
}

func weights(t *testing.T, ps *graph.Params) []float64 {
	t.Helper()
	var all []float64
	for _, p := range ps.All() {
		_, f64, err := graph.Floats(p.Value())
		require.NoError(t, err)
		all = append(all, f64...)
	}
	return all
}

func TestProgramTrainsAPlainGraph(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 8)
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	defer func() { require.NoError(t, prog.Close()) }()
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.3))
	var last graph.Result
	for i := range 300 {
		last, err = prog.Step(context.Background(), solver, r.feed(i%5, 8))
		require.NoError(t, err)
	}
	require.Less(t, last.Loss, 1e-8)
	require.Equal(t, 300, last.Step)
	require.InDeltaSlice(t, []float64{2, -1, 0.5}, weights(t, r.ps), 1e-3)
}

func TestMicroBatchesEqualOneBatch(t *testing.T) {
	train := func(n int, feeds func(r regression, step int) []graph.Feed) []float64 {
		r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64), graph.WithSeed(4)), n)
		prog, err := graph.Compile(r.cost, r.ps)
		require.NoError(t, err)
		solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.1))
		for s := range 3 {
			_, err := prog.Step(context.Background(), solver, feeds(r, s)...)
			require.NoError(t, err)
		}
		return weights(t, r.ps)
	}
	one := train(8, func(r regression, s int) []graph.Feed { return []graph.Feed{r.feed(8*s, 8)} })
	four := train(2, func(r regression, s int) []graph.Feed {
		var fs []graph.Feed
		for i := range 4 {
			fs = append(fs, r.feed(8*s+2*i, 2))
		}
		return fs
	})
	require.InDeltaSlice(t, one, four, 1e-15)
}

func TestEvalGraphSeesEveryUpdate(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 4)
	shared, err := r.ps.Share(gorgonia.NewGraph())
	require.NoError(t, err)
	e := newRegression(t, shared, 6)
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	eval, err := graph.Compile(e.cost, e.ps, graph.ForwardOnly())
	require.NoError(t, err)

	before, err := eval.Eval(context.Background(), e.feed(0, 6))
	require.NoError(t, err)
	again, err := eval.Eval(context.Background(), e.feed(0, 6))
	require.NoError(t, err)
	require.Equal(t, before.Loss, again.Loss)
	for range 20 {
		_, err = prog.Step(context.Background(), gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.2)), r.feed(0, 4))
		require.NoError(t, err)
	}
	after, err := eval.Eval(context.Background(), e.feed(0, 6))
	require.NoError(t, err)
	require.Less(t, after.Loss, before.Loss/2)
	_, err = eval.Step(context.Background(), gorgonia.NewVanillaSolver(), e.feed(0, 6))
	require.ErrorContains(t, err, "ForwardOnly")
}

func TestKeptValueIsThatOfTheRun(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 3)
	pred := gorgonia.Must(gorgonia.Mul(r.x, r.ps.Get("w").Node()))
	prog, err := graph.Compile(r.cost, r.ps, graph.ForwardOnly(), graph.Keep(pred))
	require.NoError(t, err)
	require.Nil(t, prog.Value(pred))
	for from := range 2 {
		f := r.feed(from, 3)
		_, err = prog.Eval(context.Background(), f)
		require.NoError(t, err)
		w := weights(t, r.ps)
		x := f[r.x].([]float64)
		want := []float64{x[0]*w[0] + x[1]*w[1], x[2]*w[0] + x[3]*w[1], x[4]*w[0] + x[5]*w[1]}
		require.InDeltaSlice(t, want, prog.Value(pred).(*tensor.Dense).Float64s(), 1e-15)
	}
}

func TestStepRefusesAndChangesNothing(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 2)
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	solver := gorgonia.NewVanillaSolver()
	start := append([]float64(nil), weights(t, r.ps)...)
	good := r.feed(0, 2)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	nan := r.feed(0, 2)
	nan[r.y] = []float64{math.NaN(), 0}
	for _, c := range []struct {
		name, want string
		ctx        context.Context
		solver     gorgonia.Solver
		feed       graph.Feed
	}{
		{"missing input", "input x", context.Background(), solver, nil},
		{"wrong length", "feed x: 3 values", context.Background(), solver, graph.Feed{r.x: []float64{1, 2, 3}, r.y: good[r.y]}},
		{"wrong type", "feed x: 4 values of float32, want 4 of float64", context.Background(), solver, graph.Feed{r.x: []float32{1, 2, 3, 4}}},
		{"not a slice", "value of type string", context.Background(), solver, graph.Feed{r.x: "text"}},
		{"a result", "want an input", context.Background(), solver, graph.Feed{r.cost: []float64{1}}},
		{"wrong tensor", "want float64 (2, 2)", context.Background(), solver, graph.Feed{r.x: tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(4))}},
		{"cancelled", "context canceled", cancelled, solver, good},
		{"NaN", "loss = NaN", context.Background(), solver, nan},
		{"no solver", "got nil", context.Background(), nil, good},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := prog.Step(c.ctx, c.solver, c.feed)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, start, weights(t, r.ps))
			require.Equal(t, 0, prog.Steps())
		})
	}
	_, err = prog.Step(context.Background(), solver, nan)
	require.ErrorIs(t, err, graph.ErrNonFiniteLoss)
	_, err = prog.Step(context.Background(), solver, good)
	require.NoError(t, err, "a refused step does not harm the next")
	require.NoError(t, prog.Close())
	_, err = prog.Step(context.Background(), solver, good)
	require.ErrorContains(t, err, "closed")
}

func TestAuditFindsEverything(t *testing.T) {
	ps := newParams(t)
	g := ps.Graph()
	a, err := ps.New("a", graph.Weight, tensor.Shape{2, 2}, nil)
	require.NoError(t, err)
	_, err = ps.New("unused", graph.Weight, tensor.Shape{2, 2}, nil)
	require.NoError(t, err)
	twin := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("twin"), gorgonia.WithValue(a.Value()))
	_, err = ps.Adopt(twin, graph.Weight)
	require.NoError(t, err)
	stray := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("stray"))
	sum := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Mul(a.Node(), stray)), twin))
	cost := gorgonia.Must(gorgonia.Sum(sum))

	var audit *graph.AuditError
	require.ErrorAs(t, graph.Audit(cost, ps), &audit)
	found := map[string]string{}
	for _, p := range audit.Problems {
		found[p.Param] = p.What
	}
	require.Len(t, found, 3, audit)
	require.Contains(t, found["unused"], "does not depend on it")
	require.Contains(t, found["stray"], "neither a parameter")
	require.Contains(t, found["twin"], "shares its tensor with a")
	_, err = graph.Compile(cost, ps)
	require.ErrorAs(t, err, &audit)

	require.NoError(t, ps.Freeze("unused"))
	require.NoError(t, ps.Input(stray))
	require.ErrorAs(t, graph.Audit(cost, ps), &audit)
	require.Len(t, audit.Problems, 1)
}

func TestCompileTwiceIsRefused(t *testing.T) {
	r := newRegression(t, newParams(t), 2)
	_, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	_, err = graph.Compile(r.cost, r.ps)
	require.ErrorContains(t, err, "parameter w was differentiated before")
}

func TestFrozenParameterStays(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 4)
	require.NoError(t, r.ps.Freeze("b"))
	require.Error(t, r.ps.Freeze("c"))
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	start := append([]float64(nil), weights(t, r.ps)...)
	_, err = prog.Step(context.Background(), gorgonia.NewVanillaSolver(), r.feed(0, 4))
	require.NoError(t, err)
	end := weights(t, r.ps)
	require.NotEqual(t, start[:2], end[:2])
	require.Equal(t, start[2], end[2])
}

func ExampleCompile() {
	g := gorgonia.NewGraph()
	params, _ := graph.NewParams(g)
	w, _ := params.New("w", graph.Weight, tensor.Shape{1, 1}, graph.Constant(3))
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(1, 1), gorgonia.WithName("x"))
	_ = params.Input(x)
	cost := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Mul(x, w.Node()))))))

	prog, err := graph.Compile(cost, params)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer prog.Close()
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.125))
	for range 3 {
		r, _ := prog.Step(context.Background(), solver, graph.Feed{x: []float32{1}})
		fmt.Printf("step %d: loss %.4f, w now %v\n", r.Step, r.Loss, w.Value())
	}
	// Output:
	// step 1: loss 9.0000, w now [[2.25]]
	// step 2: loss 5.0625, w now [[1.6875]]
	// step 3: loss 2.8477, w now [[1.265625]]
}

func TestGradientsAndApplyAreAStep(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 4)
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	start := append([]float64(nil), weights(t, r.ps)...)
	solver := gorgonia.NewVanillaSolver()
	_, err = prog.Apply(solver)
	require.ErrorContains(t, err, "without gradients")
	_, err = prog.Gradients(context.Background(), r.feed(0, 4))
	require.NoError(t, err)
	prog.Skip()
	require.Equal(t, 1, prog.Steps())
	_, err = prog.Apply(solver)
	require.ErrorContains(t, err, "without gradients", "skipped gradients are gone")
	require.Equal(t, start, weights(t, r.ps))

	_, err = prog.Gradients(context.Background(), r.feed(0, 4))
	require.NoError(t, err)
	_, err = prog.Apply(solver)
	require.NoError(t, err)
	require.NotEqual(t, start, weights(t, r.ps))
	_, err = prog.Apply(solver)
	require.Error(t, err, "gradients are applied once")
}

// Eval overwrites the gradients, which share memory with its activations.
func TestEvalMakesGradientsStale(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 4)
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	defer prog.Close()
	start := append([]float64(nil), weights(t, r.ps)...)
	_, err = prog.Gradients(context.Background(), r.feed(0, 4))
	require.NoError(t, err)
	_, err = prog.Eval(context.Background(), r.feed(4, 4))
	require.NoError(t, err)
	_, err = prog.Apply(gorgonia.NewVanillaSolver())
	require.ErrorContains(t, err, "without gradients")
	require.Equal(t, start, weights(t, r.ps))
}
