package graph_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
)

// Tensors whose elements lie in another order than row-major would feed
// another matrix.
func TestFeedRefusesTensorsInAnotherOrder(t *testing.T) {
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 2)
	prog, err := graph.Compile(r.cost, r.ps, graph.ForwardOnly())
	require.NoError(t, err)
	defer prog.Close()
	loss := func(x any) (float64, error) {
		res, err := prog.Eval(context.Background(), graph.Feed{r.x: x, r.y: []float64{1, 2}})
		return res.Loss, err
	}
	values := []float64{1, 2, 3, 4}
	want, err := loss(values)
	require.NoError(t, err)
	dense := func(opts ...tensor.ConsOpt) *tensor.Dense {
		return tensor.New(append(opts, tensor.WithBacking(append([]float64(nil), values...)))...)
	}
	got, err := loss(dense(tensor.WithShape(2, 2)))
	require.NoError(t, err)
	require.Equal(t, want, got)

	transposed := dense(tensor.WithShape(2, 2))
	require.NoError(t, transposed.T())
	columns, err := dense(tensor.WithShape(2, 2)).Slice(nil, tensor.S(0, 1))
	require.NoError(t, err)
	for name, x := range map[string]any{
		"strides [1 2]": transposed,
		"row-major":     tensor.New(tensor.WithShape(2, 2), tensor.AsFortran([]float64{1, 2, 3, 4})),
		"strides [2]":   columns,
		"tensor = nil":  (*tensor.Dense)(nil),
		"want a slice":  nil,
	} {
		_, err := loss(x)
		require.ErrorContains(t, err, "feed x")
		require.ErrorContains(t, err, name)
	}
}

func TestFeedScalars(t *testing.T) {
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, graph.WithDtype(tensor.Float64))
	require.NoError(t, err)
	w, err := ps.New("w", graph.Bias, tensor.Shape{2}, graph.Constant(3))
	require.NoError(t, err)
	bound := gorgonia.NewScalar(g, tensor.Float64, gorgonia.WithName("bound"), gorgonia.WithValue(2.0))
	free := gorgonia.NewScalar(g, tensor.Float64, gorgonia.WithName("free"))
	require.NoError(t, ps.Input(bound, free))
	sum := gorgonia.Must(gorgonia.Sum(w.Node()))
	cost := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Mul(sum, bound)), free))
	prog, err := graph.Compile(cost, ps, graph.ForwardOnly())
	require.NoError(t, err)
	defer prog.Close()
	for _, c := range []struct {
		feed graph.Feed
		want float64
	}{
		{graph.Feed{free: []float64{1}}, 13},
		{graph.Feed{bound: []float64{5}}, 31},
		{graph.Feed{bound: tensor.New(tensor.FromScalar(7.0)), free: []float64{0}}, 42},
	} {
		r, err := prog.Eval(context.Background(), c.feed)
		require.NoError(t, err)
		require.Equal(t, c.want, r.Loss)
	}
	_, err = prog.Eval(context.Background(), graph.Feed{bound: []float64{1, 2}})
	require.ErrorContains(t, err, "2 values of float64, want 1 of float64 for shape ()")
}

func TestNilArgumentsAreErrors(t *testing.T) {
	_, err := graph.NewParams(gorgonia.NewGraph(), nil)
	require.ErrorContains(t, err, "option 0 of NewParams = nil")
	r := newRegression(t, newParams(t, graph.WithDtype(tensor.Float64)), 2)
	require.ErrorContains(t, r.ps.Tie("alias", nil), `Tie("alias", nil)`)
	_, err = graph.Compile(r.cost, r.ps, nil)
	require.ErrorContains(t, err, "option 0 of Compile = nil")
	prog, err := graph.Compile(r.cost, r.ps)
	require.NoError(t, err)
	defer prog.Close()
	_, err = prog.Gradients(context.Background(), r.feed(0, 2))
	require.NoError(t, err)
	_, err = prog.Apply(nil)
	require.ErrorContains(t, err, "Apply needs a solver")
}
