package op

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// routed is a rig of a whole mixture layer of many tokens, and its run.
type routed struct {
	*rig
	grads gorgonia.Nodes
	step  func()
}

func newRouted(t testing.TB, tokens, channels, hidden, experts int, o RouteOptions) *routed {
	in := mixtureArgs(floatsOf(tokens, channels), floatsOf(experts, channels), experts, hidden)
	r := newRig[float32](t, routedCase("", in, o, MixtureOptions{}), nil)
	step, grads := r.tape(t)
	return &routed{r, grads, step}
}

func (r *routed) input(i int) []float32 { return r.values[i].Data().([]float32) }

func TestMixtureIsTheSumOfItsExperts(t *testing.T) {
	const tokens, experts = 6, 3
	in := mixtureArgs(floatsOf(tokens, 5), floatsOf(tokens, experts), experts, 4)
	for _, geglu := range []bool{false, true} {
		sparse := newRig[float64](t, mixtureCase("", in, MixtureOptions{GeGLU: geglu}), nil)
		gates := sparse.values[1].Data().([]float64)
		for i := range gates {
			if i%4 == 1 || i/experts == 2 { // token 2 has no expert at all
				gates[i] = 0
			}
		}
		run, _ := sparse.tape(t)
		run()

		want := make([]float64, tokens*5)
		glu := SwiGLU
		if geglu {
			glu = GeGLU
		}
		for e := range experts {
			in := []arg{in[0], in[2+3*e], in[3+3*e], in[4+3*e]}
			dense := newRig[float64](t, opCase{"", in, func(x gorgonia.Nodes) (*gorgonia.Node, error) {
				h, err := Linears(x[0], x[1:3], nil, LinearOptions{OutIn: true}) // gate and up
				require.NoError(t, err)
				h, err = glu(h)
				require.NoError(t, err)
				return Linear(h, x[3], nil, LinearOptions{OutIn: true})
			}}, nil)
			for i, from := range []int{0, 2 + 3*e, 3 + 3*e, 4 + 3*e} {
				copy(dense.values[i].Data().([]float64), sparse.values[from].Data().([]float64))
			}
			run, _ := dense.tape(t)
			run()
			for i, y := range float64s(t, dense.y.Value()) {
				want[i] += gates[i/5*experts+e] * y
			}
		}
		requireClose(t, [][]float64{want}, [][]float64{float64s(t, sparse.y.Value())}, 1e-14, 0, "result")
	}
}

func TestExpertsWithoutTokensGetZeroGradients(t *testing.T) {
	const experts = 5
	r := newRouted(t, 1, 7, 3, experts, RouteOptions{TopK: 1, Renormalize: true})
	seen := map[int]bool{}
	for sign := range 2 {
		for i := range r.input(0) { // turns the choice around
			r.input(0)[i] *= float32(1 - 2*sign)
		}
		r.step()
		used := -1
		for e := range experts {
			zero := true
			for i, g := range r.grads[2+3*e : 5+3*e] {
				zeros := slices.Max(float64s(t, g.Value())) == 0 && slices.Min(float64s(t, g.Value())) == 0
				require.True(t, i == 0 || zeros == zero, "all matrices of expert %d alike", e)
				zero = zeros
			}
			if !zero {
				require.Equal(t, -1, used, "one token has one expert")
				used = e
			}
		}
		seen[used] = true
	}
	require.Len(t, seen, 2, "the second run chose another expert and cleared the gradient of the first")
}

func TestMixtureIsBitEqualForEachGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want [][]float64
	for _, procs := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(procs)
		r := newRouted(t, 700, 65, 97, 6, RouteOptions{TopK: 2})
		r.step()
		got := [][]float64{float64s(t, r.y.Value())}
		for _, g := range r.grads {
			got = append(got, float64s(t, g.Value()))
		}
		if want == nil {
			want = got
		}
		require.Equal(t, want, got, "GOMAXPROCS = %d", procs)
	}
}

func TestMixtureAllocatesNothingAsItsLoadVaries(t *testing.T) {
	const tokens, channels, hidden = 512, 32, 64
	r := newRouted(t, tokens, channels, hidden, 4, RouteOptions{TopK: 2, Renormalize: true})
	router := slices.Clone(r.input(1))
	turn := func(i int) { // the router's rows change places, then grow alike
		for j := range r.input(1) {
			r.input(1)[j] = router[(j+i*channels)%len(router)] * float32(i%3)
		}
		r.step()
	}
	turn(0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const runs = 12
	for i := range runs {
		turn(i + 1)
	}
	runtime.ReadMemStats(&after)
	perRun := (after.TotalAlloc - before.TotalAlloc) / runs
	require.Less(t, perRun, uint64(tokens*channels*4/2), "bytes a run; the tokens have %d", tokens*channels*4)
}

// route runs Route on logits and returns gates and statistics.
func route(t *testing.T, logits []float64, experts int, o RouteOptions) ([]float64, RouterStats) {
	t.Helper()
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(len(logits)/experts, experts), gorgonia.WithName("logits"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(logits)/experts, experts), tensor.WithBacking(logits))))
	y, err := Route(x, o)
	require.NoError(t, err)
	stats := y.Op().(routerStater)
	require.Empty(t, stats.RouterStats(), "before the first run")
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return float64s(t, y.Value()), stats.RouterStats()
}

func TestRouteOrders(t *testing.T) {
	// e^logits are 1, 2, 4 and 1: the probabilities 1/8, 2/8, 4/8, 1/8.
	logits := []float64{0, math.Ln2, 2 * math.Ln2, 0}
	gates, _ := route(t, logits, 4, RouteOptions{TopK: 2, Renormalize: true})
	require.InDeltaSlice(t, []float64{0, 1. / 3, 2. / 3, 0}, gates, 1e-15)
	gates, stats := route(t, logits, 4, RouteOptions{TopK: 2})
	require.InDeltaSlice(t, []float64{0, 1. / 4, 1. / 2, 0}, gates, 1e-15)
	require.Equal(t, []int{0, 1, 1, 0}, stats.Tokens)
	require.InDeltaSlice(t, []float64{1. / 8, 1. / 4, 1. / 2, 1. / 8}, stats.Probability, 1e-15)
	require.InDelta(t, 1.75*math.Ln2, stats.Entropy, 1e-15)
}

func TestRouteBreaksTiesByIndex(t *testing.T) {
	gates, stats := route(t, make([]float64, 2*5), 5, RouteOptions{TopK: 3, Renormalize: true})
	third := 1. / 3
	require.InDeltaSlice(t, []float64{third, third, third, 0, 0, third, third, third, 0, 0}, gates, 1e-15)
	require.Equal(t, []int{2, 2, 2, 0, 0}, stats.Tokens)
	require.InDelta(t, math.Log(5), stats.Entropy, 1e-15)
}

func TestRouteOfInfinitelySureRouter(t *testing.T) {
	gates, stats := route(t, []float64{-2000, 2000, 0}, 3, RouteOptions{TopK: 2, Renormalize: true})
	require.Equal(t, []float64{0, 1, 0}, gates, "the second gate underflows")
	require.Zero(t, stats.Entropy)
	require.Equal(t, []int{0, 1, 1}, stats.Tokens)
}

func TestBalanceLoss(t *testing.T) {
	// Each expert is first for one of the tokens, by the same margin: the load
	// is even, the loss top-k.
	even := []float64{2, 1, 0, 0, 2, 1, 1, 0, 2}
	for k := 1; k <= 3; k++ {
		require.InDelta(t, float64(k), balanceOf(t, k, even), 1e-14)
	}
	// All tokens of both layers choose expert 0, with the probability 3/4.
	full := []float64{math.Log(3), 0, math.Log(3), 0}
	require.InDelta(t, 2*3./4, balanceOf(t, 1, full, full), 1e-14)
	// Layers count together: the one's load makes up for the other's.
	other := []float64{0, math.Log(3), 0, math.Log(3)}
	require.InDelta(t, 1, balanceOf(t, 1, full, other), 1e-14)
}

// balanceOf is the BalanceLoss of layers whose logits are (tokens,E), with as
// many experts as the first layer has tokens.
func balanceOf(t *testing.T, k int, layers ...[]float64) float64 {
	t.Helper()
	g := gorgonia.NewGraph()
	var logits gorgonia.Nodes
	for i, l := range layers {
		n := int(math.Sqrt(float64(len(l))))
		logits = append(logits, gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(n, n), gorgonia.WithName(string(rune('a'+i))),
			gorgonia.WithValue(tensor.New(tensor.WithShape(n, n), tensor.WithBacking(l)))))
	}
	y, err := BalanceLoss(k, logits...)
	require.NoError(t, err)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return float64s(t, y.Value())[0]
}

func TestMixtureErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	node := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	x, logits := node("x", 4, 5), node("logits", 4, 2)
	gate, up, down := node("gate", 3, 5), node("up", 3, 5), node("down", 5, 3)
	good := Expert{gate, up, down}
	fails := func(want string, _ *gorgonia.Node, err error) {
		t.Helper()
		require.ErrorContains(t, err, want)
	}
	n, err := Route(nil, RouteOptions{TopK: 1})
	fails("op: Route: x = nil", n, err)
	n, err = Route(logits, RouteOptions{})
	fails("op: Route: top-k = 0, want 1 <= k <= 2, the number of experts", n, err)
	n, err = BalanceLoss(2)
	fails("op: BalanceLoss: no logits", n, err)
	n, err = BalanceLoss(3, logits)
	fails("op: BalanceLoss: top-k = 3", n, err)
	n, err = BalanceLoss(1, logits, x)
	fails("op: BalanceLoss: shape of logits = (4, 5), want (4, 2)", n, err)
	n, err = Mixture(x, logits, nil, MixtureOptions{})
	fails("op: Mixture: experts = []", n, err)
	n, err = Mixture(x, x, []Expert{good, good}, MixtureOptions{})
	fails("op: Mixture: shape of gates = (4, 5), want (4, 2)", n, err)
	n, err = Mixture(x, logits, []Expert{good, {gate, up, up}}, MixtureOptions{})
	fails("op: Mixture: shape of down = (3, 5), want (5, 3)", n, err)
	n, err = Mixture(x, logits, []Expert{good, {gate, nil, down}}, MixtureOptions{})
	fails("op: Mixture: up = nil", n, err)
}

// A mixture of 8 experts, 2 a token, does the work of one MLP of twice the
// width; compare with BenchmarkDenseTwin.
func BenchmarkMixture(b *testing.B) {
	r := newRouted(b, 1024, 256, 512, 8, RouteOptions{TopK: 2, Renormalize: true})
	for b.Loop() {
		r.step()
	}
}

func BenchmarkDenseTwin(b *testing.B) {
	in := mixtureArgs(floatsOf(1024, 256), floatsOf(1024, 1), 1, 1024)
	r := newRig[float32](b, mixtureCase("", in, MixtureOptions{}), nil)
	step, _ := r.tape(b)
	for b.Loop() {
		step()
	}
}
