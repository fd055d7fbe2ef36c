package op

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestIDsOfEveryIntegerType(t *testing.T) {
	run := func(dt tensor.Dtype, backing any) []float64 {
		g := gorgonia.NewGraph()
		ids := integers(g, "ids", dt, 2, 2)
		table := matrix(g, "table", 3, 2)
		y, err := Embedding(ids, table, nil, 1)
		require.NoError(t, err)
		require.NoError(t, runError(t, map[*gorgonia.Node]any{ids: backing, table: []float32{0, 1, 10, 11, 20, 21}}, y))
		return float64s(t, y.Value())
	}
	want := []float64{20, 21, 0, 1, 10, 11, 20, 21}
	require.Equal(t, want, run(tensor.Int32, []int32{2, 0, 1, 2}))
	require.Equal(t, want, run(tensor.Int64, []int64{2, 0, 1, 2}))
	require.Equal(t, want, run(tensor.Int, []int{2, 0, 1, 2}))
}

// Stock ops hand over views: their elements do not lie in row-major order.
func TestInputsThatAreViews(t *testing.T) {
	g := gorgonia.NewGraph()
	x := matrix(g, "x", 2, 3)
	columns := gorgonia.Must(gorgonia.Slice(x, nil, gorgonia.S(1, 3))) // (2,2)
	y, err := Scale(columns, 2)
	require.NoError(t, err)
	require.NoError(t, runError(t, map[*gorgonia.Node]any{x: []float32{1, 2, 3, 4, 5, 6}}, y))
	require.Equal(t, []float64{4, 6, 10, 12}, float64s(t, y.Value()))
}

func TestBoundGradientsAccumulateUntilZeroed(t *testing.T) {
	g := gorgonia.NewGraph()
	x := matrix(g, "x", 1, 2)
	w := matrix(g, "w", 2, 1)
	y, err := Linear(x, w, nil, LinearOptions{NoInputGrad: true})
	require.NoError(t, err)
	cost := gorgonia.Must(gorgonia.Sum(y))
	_, err = gorgonia.Grad(cost, w)
	require.NoError(t, err)
	require.NoError(t, gorgonia.Let(x, tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float32{3, 5}))))
	require.NoError(t, gorgonia.Let(w, tensor.New(tensor.WithShape(2, 1), tensor.WithBacking([]float32{1, 1}))))
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w))
	defer vm.Close()
	for range 2 {
		require.NoError(t, vm.RunAll())
		vm.Reset()
	}
	grad, err := w.Grad()
	require.NoError(t, err)
	require.Equal(t, []float64{6, 10}, float64s(t, grad))
}

func TestSecondGradAddsNothing(t *testing.T) {
	for _, c := range opCases() {
		r := newRig[float64](t, c, nil)
		first, err := gorgonia.Grad(r.cost, r.wrt()...)
		require.NoError(t, err, c.name)
		n := len(r.g.AllNodes())
		second, err := gorgonia.Grad(r.cost, r.wrt()...)
		require.NoError(t, err, c.name)
		require.Equal(t, first, second, c.name)
		require.Len(t, r.g.AllNodes(), n, c.name)
	}
}

// Two ops of a kind on the same inputs are two nodes: Gorgonia must not merge
// them, since each has a state of its own.
func TestEqualOpsAreNotMerged(t *testing.T) {
	g := gorgonia.NewGraph()
	x, clock := matrix(g, "x", 4, 4), integers(g, "clock", tensor.Int64, 2)
	a, err := Dropout(x, .5, Random{Clock: clock})
	require.NoError(t, err)
	b, err := Dropout(x, .1, Random{Clock: clock})
	require.NoError(t, err)
	require.NotSame(t, a, b)
	require.NotEqual(t, a.Hashcode(), b.Hashcode())
}

// apply looks for a free hash before there is a node.
func TestHashIsKnownBeforehand(t *testing.T) {
	for _, c := range opCases() {
		r := newRig[float64](t, c, nil)
		_, err := gorgonia.Grad(r.cost, r.wrt()...)
		require.NoError(t, err)
		seen := map[uint32]bool{}
		for _, n := range r.g.AllNodes() {
			require.False(t, seen[n.Hashcode()], "%s: %v", c.name, n)
			seen[n.Hashcode()] = true
			if o, ok := n.Op().(ownOp); ok {
				require.Equal(t, n.Hashcode(), nodeHash(o, operandsOf(n)), "%s: %v", c.name, n)
			}
		}
	}
}

func TestLossWeighsCountedRows(t *testing.T) {
	g := gorgonia.NewGraph()
	logits, targets := matrix(g, "logits", 3, 2), integers(g, "targets", tensor.Int32, 3)
	y, err := CrossEntropy(logits, targets, LossOptions{Ignore: -100})
	require.NoError(t, err)
	in := map[*gorgonia.Node]any{logits: make([]float32, 6), targets: []int32{-100, 1, 0}}
	require.NoError(t, runError(t, in, y))
	require.Equal(t, 2., y.Op().(interface{ Weight() float64 }).Weight())
	require.InDelta(t, 0.6931472, float64s(t, y.Value())[0], 1e-6) // log 2

	in[targets] = []int32{-100, -100, -100}
	require.NoError(t, runError(t, in, y))
	require.Equal(t, 0., y.Op().(interface{ Weight() float64 }).Weight())
	require.Equal(t, []float64{0}, float64s(t, y.Value()))
}
