package solvers_test

import (
	"context"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// regression is a plain Gorgonia graph: a layer, a bias and a scalar gain, all
// of it stock.
type regression struct {
	g              *gorgonia.ExprGraph
	x, w, b, s     *gorgonia.Node
	target, cost   *gorgonia.Node
	parameterNodes gorgonia.Nodes
}

func newRegression(t *testing.T) *regression {
	t.Helper()
	g := gorgonia.NewGraph()
	r := &regression{g: g}
	r.x = gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(4, 2), gorgonia.WithName("x"),
		gorgonia.WithValue(float64s([]int{4, 2}, 1, 2, -1, 0.5, 0.3, -2, 2, 1)))
	r.target = gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(4, 3), gorgonia.WithName("target"),
		gorgonia.WithValue(float64s([]int{4, 3}, 1, 0, 2, 0, 1, 1, -1, 0.5, 0, 2, 2, -1)))
	r.w = gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 3), gorgonia.WithName("fc.weight"),
		gorgonia.WithValue(float64s([]int{2, 3}, 0.1, -0.2, 0.3, 0.4, 0.5, -0.6)))
	r.b = gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("fc.bias"),
		gorgonia.WithValue(float64s([]int{3}, 0.01, 0.02, 0.03)))
	r.s = gorgonia.NewScalar(g, tensor.Float64, gorgonia.WithName("gain"), gorgonia.WithValue(1.5))
	y := gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(r.x, r.w)), r.b, nil, []byte{0}))
	y = gorgonia.Must(gorgonia.HadamardProd(y, r.s))
	r.cost = gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(y, r.target))))))
	r.parameterNodes = gorgonia.Nodes{r.w, r.b, r.s}
	return r
}

func (r *regression) loss() float64 { return elements(r.cost.Value())[0] }

// reference is the gradient of the regression, written out.
func (r *regression) reference() (dw, db []float64, ds float64) {
	x, target, w, b, s := elements(r.x.Value()), elements(r.target.Value()), elements(r.w.Value()), elements(r.b.Value()), elements(r.s.Value())[0]
	dw, db = make([]float64, 6), make([]float64, 3)
	for i := range 4 {
		for j := range 3 {
			y := x[2*i]*w[j] + x[2*i+1]*w[3+j] + b[j]
			d := 2 * (y*s - target[3*i+j]) / 12
			dw[j] += d * s * x[2*i]
			dw[3+j] += d * s * x[2*i+1]
			db[j] += d * s
			ds += d * y
		}
	}
	return dw, db, ds
}

// A user with a plain Gorgonia program, with and without BindDualValues: the
// existing loop with our solver in it. The weights are those of a run whose
// gradients are written out by hand, and which has no VM.
func TestPlainGorgoniaProgram(t *testing.T) {
	for name, bind := range map[string]bool{"BindDualValues": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			r := newRegression(t)
			_, err := gorgonia.Grad(r.cost, r.parameterNodes...)
			require.NoError(t, err)
			var opts []gorgonia.VMOpt
			if bind {
				opts = append(opts, gorgonia.BindDualValues(r.parameterNodes...))
			}
			vm := gorgonia.NewTapeMachine(r.g, opts...)
			defer vm.Close()
			gs, err := groups.ByNameAndShape(r.parameterNodes)
			require.NoError(t, err)
			require.Equal(t, "fc.weight", gs.All()[0].Params[0].Name())
			adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.02), solvers.WithWeightDecay(0.1), solvers.WithClipGlobalNorm(1))
			require.NoError(t, err)

			hand := newRegression(t)
			b := &bench{t: t, pairs: map[string]*pair{}}
			handGroups, err := groups.ByNameAndShape(hand.parameterNodes)
			require.NoError(t, err)
			for _, p := range handGroups.Params().All() {
				b.pairs[p.Name()] = &pair{Param: p, grad: tensor.New(tensor.Of(p.Dtype()), tensor.WithShape(p.Shape()...))}
				b.order = append(b.order, p.Name())
			}
			same, err := solvers.NewAdamW(handGroups, solvers.WithLR(0.02), solvers.WithWeightDecay(0.1), solvers.WithClipGlobalNorm(1))
			require.NoError(t, err)

			var first float64
			for step := range 100 {
				require.NoError(t, vm.RunAll())
				if step == 0 {
					first = r.loss()
				}
				require.NoError(t, adamw.Step(gorgonia.NodesToValueGrads(r.parameterNodes)))
				vm.Reset()
				dw, db, ds := hand.reference()
				b.pairs["fc.weight"].set(dw...)
				b.pairs["fc.bias"].set(db...)
				b.pairs["gain"].set(ds)
				require.NoError(t, same.Step(b.list()))
			}
			assert.Less(t, r.loss(), 0.2*first)
			for i, n := range r.parameterNodes {
				assert.InDeltaSlice(t, elements(hand.parameterNodes[i].Value()), elements(n.Value()), 1e-12, n.Name())
			}
		})
	}
}

// Without a run there is no gradient, and the solver says so.
func TestStepBeforeTheFirstRun(t *testing.T) {
	r := newRegression(t)
	_, err := gorgonia.Grad(r.cost, r.parameterNodes...)
	require.NoError(t, err)
	gs, err := groups.ByNameAndShape(r.parameterNodes)
	require.NoError(t, err)
	s, err := solvers.NewAdamW(gs)
	require.NoError(t, err)
	require.ErrorIs(t, s.Step(gorgonia.NodesToValueGrads(r.parameterNodes)), solvers.ErrNilGrad)
}

// newProgram compiles the mean square of a float32 layer.
func newProgram(t *testing.T, ps *graph.Params) *graph.Program {
	t.Helper()
	w, err := ps.New("w", graph.Weight, tensor.Shape{3, 2}, graph.Normal(1))
	require.NoError(t, err)
	x := gorgonia.NewMatrix(ps.Graph(), tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"),
		gorgonia.WithValue(float32s([]int{2, 3}, 1, 2, 3, -1, 0.5, 0.25)))
	require.NoError(t, ps.Input(x))
	cost := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Mul(x, w.Node()))))))
	prog, err := graph.Compile(cost, ps)
	require.NoError(t, err)
	return prog
}

// Under a graph.Program, and from a second graph that shares the tensors.
func TestProgramAndSharedParams(t *testing.T) {
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, graph.WithSeed(7))
	require.NoError(t, err)
	prog := newProgram(t, ps)
	defer prog.Close()
	gs, err := groups.Split(ps, groups.DecayAllPolicy())
	require.NoError(t, err)
	s, err := solvers.NewAdamW(gs, solvers.WithLR(0.05))
	require.NoError(t, err)
	first, err := prog.Step(context.Background(), s)
	require.NoError(t, err)
	assert.Equal(t, s.GradNorm(), first.GradNorm)
	assert.Positive(t, first.GradNorm)

	shared, err := ps.Share(gorgonia.NewGraph())
	require.NoError(t, err)
	twin := newProgram(t, shared)
	defer twin.Close()
	var last graph.Result
	for range 50 {
		last, err = twin.Step(context.Background(), s)
		require.NoError(t, err)
	}
	assert.Equal(t, 51, s.Steps())
	assert.Less(t, last.Loss, first.Loss/2)
	again, err := prog.Step(context.Background(), s)
	require.NoError(t, err)
	assert.Less(t, again.Loss, last.Loss, "the first program sees the weights of the second")
}

// Gradients are zeroed after a step, but for those that say that they are
// transient.
func TestTransientGradientsAreLeftAlone(t *testing.T) {
	b := newBench(t)
	p := b.add("p", graph.Bias, float32s([]int{2}, 1, 1))
	q := b.add("q", graph.Bias, float32s([]int{2}, 1, 1))
	q.transient = true
	p.set(1, 2)
	q.set(1, 2)
	require.NoError(t, newAdamW(t, b).Step(b.list()))
	assert.Equal(t, []float64{0, 0}, elements(p.grad))
	assert.Equal(t, []float64{1, 2}, elements(q.grad))
	assert.Equal(t, p.weights(), q.weights())
}

// large is a bench of parameters long enough to be cut into many pieces.
func large(t *testing.T) *bench {
	b := newBench(t)
	for i, n := range []int{1 << 17, 70003, 7} {
		start := make([]float32, n)
		for j := range start {
			start[j] = float32(math.Sin(float64(i + j)))
		}
		b.add(string(rune('a'+i)), graph.Bias, float32s([]int{n}, start...))
	}
	return b
}

func fillGrads(b *bench, step int) {
	for _, p := range b.pairs {
		f32, _, _ := graph.Floats(p.grad)
		for j := range f32 {
			f32[j] = float32(math.Cos(float64(step*7 + j)))
		}
	}
}

// The bits do not depend on the number of threads.
func TestBitEqualForEveryGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want []any
	for _, threads := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(threads)
		var got []any
		for _, kind := range []string{"adamw", "adafactor"} {
			b := large(t)
			var s stateful = newAdamW(t, b, solvers.WithClipGlobalNorm(1))
			if kind == "adafactor" {
				a, err := solvers.NewAdafactor(b.split(groups.DecayAllPolicy()), solvers.WithClipGlobalNorm(1))
				require.NoError(t, err)
				s = a
			}
			for step := range 2 {
				fillGrads(b, step)
				require.NoError(t, s.Step(b.list()))
			}
			for _, name := range b.order {
				got = append(got, b.pairs[name].weights())
			}
			got = append(got, s.State())
		}
		if want == nil {
			want = got
		}
		for i := range want {
			require.True(t, reflect.DeepEqual(want[i], got[i]), "%d threads", threads)
		}
	}
}

// After the first step a step allocates nothing that grows with the model,
// rehearsed steps (eps 0) included.
func TestStepsDoNotAllocateTensors(t *testing.T) {
	b := large(t)
	gs := b.split(groups.DecayAllPolicy())
	adamw := newAdamW(t, b, solvers.WithClipGlobalNorm(1), solvers.WithAMSGrad())
	noEps := newAdamW(t, b, solvers.WithEps(0))
	adafactor, err := solvers.NewAdafactor(gs)
	require.NoError(t, err)
	for name, s := range map[string]gorgonia.Solver{"adamw": adamw, "eps 0": noEps, "adafactor": adafactor} {
		list := b.list()
		step := func() {
			for _, p := range b.pairs {
				p.transient = true
			}
			require.NoError(t, s.Step(list))
		}
		fillGrads(b, 1)
		step()
		var before, after runtime.MemStats
		const steps = 10
		runtime.ReadMemStats(&before)
		for range steps {
			step()
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/steps, uint64(16<<10), "%s: bytes a step; the tensors have up to 512 kB", name)
	}
}
