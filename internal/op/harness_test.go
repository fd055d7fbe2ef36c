package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/internal/golden"
	"github.com/gorget/gorget/internal/kernel"
)

// arg describes one input of an op under test.
type arg struct {
	shape tensor.Shape
	ids   int  // > 0: integer ids below it
	clock bool // the clock of random ops
	fixed bool // gets no gradient
	byPos bool // has a row for each position
}

func floatsOf(shape ...int) arg     { return arg{shape: shape} }
func idsOf(below int, s ...int) arg { return arg{shape: s, ids: below} }
func clockArg() arg                 { return arg{shape: tensor.Shape{2}, clock: true} }
func constantOf(shape ...int) arg   { return arg{shape: shape, fixed: true} }
func positionsOf(t, c int) arg      { return arg{shape: tensor.Shape{t, c}, byPos: true} }
func (a arg) isFloat() bool         { return a.ids == 0 && !a.clock }
func (a arg) differentiable() bool  { return a.isFloat() && !a.fixed }

// opCase is an op with inputs. Every test of this package that holds for all
// ops runs over all cases.
type opCase struct {
	name  string
	in    []arg
	build func(x gorgonia.Nodes) (*gorgonia.Node, error)
}

// rig is a graph of a case: cost = sum of c*op(inputs), c random, so that each
// element of the result has a gradient of its own.
type rig struct {
	c      opCase
	g      *gorgonia.ExprGraph
	in     gorgonia.Nodes
	y      *gorgonia.Node
	cost   *gorgonia.Node
	values []tensor.Tensor
}

// newRig builds the graph. between, if not nil, stands between op and cost.
func newRig[T kernel.Float](t testing.TB, c opCase, between func(y *gorgonia.Node) *gorgonia.Node) *rig {
	t.Helper()
	r := &rig{c: c, g: gorgonia.NewGraph()}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, a := range c.in {
		name := string(rune('a' + i))
		var v tensor.Tensor
		switch {
		case a.clock:
			v = tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{3, 1}))
		case a.ids > 0:
			ids := make([]int32, a.shape.TotalSize())
			for j := range ids {
				ids[j] = rng.Int32N(int32(a.ids))
			}
			v = tensor.New(tensor.WithShape(a.shape...), tensor.WithBacking(ids))
		default:
			v = tensor.New(tensor.WithShape(a.shape...), tensor.WithBacking(random[T](rng, a.shape.TotalSize())))
		}
		n := gorgonia.NewTensor(r.g, v.Dtype(), len(a.shape), gorgonia.WithShape(a.shape...), gorgonia.WithName(name))
		require.NoError(t, gorgonia.Let(n, v))
		r.in, r.values = append(r.in, n), append(r.values, v)
	}
	var err error
	r.y, err = c.build(r.in)
	require.NoError(t, err)
	y := r.y
	if between != nil {
		y = between(y)
	}
	r.cost = y
	if !y.IsScalar() {
		p := &projection[T]{c: random[T](rng, y.Shape().TotalSize())}
		s := spec{name: "projection", in: gorgonia.Nodes{y}, shape: tensor.ScalarShape()}
		r.cost, err = apply(newForward[T](s, p), y)
		require.NoError(t, err)
	}
	return r
}

// random numbers as float32 has them, so that both element types start alike.
func random[T kernel.Float](rng *rand.Rand, n int) []T {
	xs := make([]T, n)
	for i := range xs {
		xs[i] = T(float32(rng.NormFloat64()))
	}
	return xs
}

// projection is the scalar sum of c*x.
type projection[T kernel.Float] struct{ c []T }

func (p *projection[T]) forward(y []T, in *inputs[T]) error {
	var sum float64
	for i, x := range in.f[0] {
		sum += float64(x) * float64(p.c[i])
	}
	y[0] = T(sum)
	return nil
}

func (p *projection[T]) backward(d [][]T, dy, _ []T, _ *inputs[T]) error {
	kernel.Scale(d[0], dy[0], p.c)
	return nil
}

// wrt are the inputs that get a gradient.
func (r *rig) wrt() (ns gorgonia.Nodes) {
	for i, a := range r.c.in {
		if a.differentiable() {
			ns = append(ns, r.in[i])
		}
	}
	return ns
}

// tape differentiates the cost and makes a TapeMachine.
func (r *rig) tape(t testing.TB) (run func(), grads gorgonia.Nodes) {
	t.Helper()
	grads, err := gorgonia.Grad(r.cost, r.wrt()...)
	require.NoError(t, err)
	vm := gorgonia.NewTapeMachine(r.g)
	t.Cleanup(func() { vm.Close() })
	return func() {
		require.NoError(t, vm.RunAll())
		vm.Reset()
	}, grads
}

// lisp runs a LispMachine, which lives for one run, and returns the gradients.
func (r *rig) lisp(t testing.TB) (grads [][]float64) {
	t.Helper()
	vm := gorgonia.NewLispMachine(r.g)
	require.NoError(t, vm.RunAll())
	for _, n := range r.wrt() {
		g, err := n.Grad()
		require.NoError(t, err)
		grads = append(grads, float64s(t, g))
	}
	require.NoError(t, vm.Close())
	return grads
}

// float64s copies the elements of a value.
func float64s(t testing.TB, v gorgonia.Value) []float64 {
	t.Helper()
	if v.Dtype() == tensor.Float64 {
		xs, err := floats[float64](v)
		require.NoError(t, err)
		return append([]float64(nil), xs...)
	}
	xs, err := floats[float32](v)
	require.NoError(t, err)
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = float64(x)
	}
	return ys
}

// numeric computes the gradients of the cost by central differences of fourth
// order.
func (r *rig) numeric(t testing.TB) (grads [][]float64) {
	t.Helper()
	vm := gorgonia.NewTapeMachine(r.g)
	defer vm.Close()
	cost := func() float64 {
		require.NoError(t, vm.RunAll())
		vm.Reset()
		return float64s(t, r.cost.Value())[0]
	}
	const h = 1e-3
	for i, a := range r.c.in {
		if !a.differentiable() {
			continue
		}
		xs := r.values[i].Data().([]float64)
		g := make([]float64, len(xs))
		for j, x := range xs {
			at := func(d float64) float64 { xs[j] = x + d; return cost() }
			g[j] = (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
			xs[j] = x
		}
		grads = append(grads, g)
	}
	return grads
}

// requireClose demands that each gradient agrees to tol, relative to its own
// largest element, or to floor in absolute terms: a gradient that is truly zero
// has no size.
func requireClose(t testing.TB, want, got [][]float64, tol, floor float64, msg string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		size := 0.0
		for _, x := range w {
			size = math.Max(size, math.Abs(x))
		}
		require.LessOrEqual(t, golden.MaxDiff(got[i], w), math.Max(tol*size, floor), "%s: gradient %d of size %v", msg, i, size)
	}
}

// larger is the case with sequences that are times as long: the last dimension
// but the channels of the first input grows, and with it those inputs that have
// the same dimensions up to there.
func (c opCase) larger(times int) opCase {
	tokens := func(a arg) tensor.Shape {
		if a.isFloat() {
			return a.shape[:len(a.shape)-1]
		}
		return a.shape
	}
	first := tokens(c.in[0])
	if first.TotalSize() == 1 {
		return c // one token: its shape is that of other inputs too
	}
	c.in = slices.Clone(c.in)
	for i, a := range c.in {
		switch {
		case a.byPos:
			c.in[i].shape = tensor.Shape{times * a.shape[0], a.shape[1]}
		case !a.clock && slices.Equal(tokens(a), first):
			c.in[i].shape = a.shape.Clone()
			c.in[i].shape[len(first)-1] *= times
		}
	}
	return c
}
