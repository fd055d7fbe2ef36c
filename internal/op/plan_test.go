package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// tower is a small model with a tied head: residual blocks of attention and
// MLP, between two of them stock ops of Gorgonia, which work in place.
type tower struct {
	g      *gorgonia.ExprGraph
	params gorgonia.Nodes
	cost   *gorgonia.Node
}

func newTower(t *testing.T, layers int) *tower { return newTowerWith(t, layers, false) }

func newTowerWith(t *testing.T, layers int, recomputed bool) *tower {
	t.Helper()
	const B, T, C, H, V = 2, 5, 6, 2, 7
	w := &tower{g: gorgonia.NewGraph()}
	rng := rand.New(rand.NewPCG(3, 4))
	must := func(n *gorgonia.Node, err error) *gorgonia.Node {
		t.Helper()
		require.NoError(t, err)
		return n
	}
	param := func(name string, shape ...int) *gorgonia.Node {
		d := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(shape...))
		for i := range d.Float32s() {
			d.Float32s()[i] = float32(rng.NormFloat64() / 2)
		}
		n := gorgonia.NewTensor(w.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(d))
		w.params = append(w.params, n)
		return n
	}
	ids := func(name string) *gorgonia.Node {
		d := tensor.New(tensor.Of(tensor.Int32), tensor.WithShape(B, T))
		for i := range d.Int32s() {
			d.Int32s()[i] = int32(rng.IntN(V))
		}
		return gorgonia.NewTensor(w.g, tensor.Int32, 2, gorgonia.WithShape(B, T), gorgonia.WithName(name), gorgonia.WithValue(d))
	}
	table := param("table", V, C)
	x := must(Embedding(ids("ids"), table, param("positions", T, C), 1)) // (B,T,C)
	for l := range layers {
		name := func(s string) string { return string(rune('a'+l)) + s }
		gain, bias, qkv := param(name("gain"), C), param(name("bias"), C), param(name("qkv"), C, 3*C)
		gain2, up, down := param(name("gain2"), C), param(name("up"), C, 2*C), param(name("down"), 2*C, C)
		block := func(x *gorgonia.Node) (*gorgonia.Node, error) {
			n := must(LayerNorm(x, gain, bias, 1e-5))
			y := must(Attention(AttentionOptions{Heads: H, HeadSize: C / H}, must(Linear(n, qkv, nil, LinearOptions{}))))
			x = must(Residual(x, y, n))
			y = must(GELUTanh(must(Linear(must(RMSNorm(x, gain2, 1e-5)), up, nil, LinearOptions{}))))
			y = must(Linear(y, down, nil, LinearOptions{}))
			if l == 1 && !recomputed {
				return gorgonia.Add(gorgonia.Must(gorgonia.HadamardProd(x, y)), y)
			}
			return Add(x, y)
		}
		if recomputed {
			x = must(Recompute(x, block))
		} else {
			x = must(block(x))
		}
	}
	w.cost = must(LinearCrossEntropy(x, table, ids("targets"), HeadOptions{LossOptions: LossOptions{Ignore: -1}}))
	_, err := gorgonia.Grad(w.cost, w.params...)
	require.NoError(t, err)
	return w
}

// share plans the tower's memory and returns the elements in use, and the
// elements of all results together.
func (w *tower) share(t *testing.T) (used, all int) {
	order, err := gorgonia.Sort(w.g)
	require.NoError(t, err)
	slices.Reverse(order)
	keep := map[*gorgonia.Node]bool{w.cost: true}
	for _, p := range w.params {
		keep[p.Deriv()] = true
	}
	ShareBuffers(order, func(n *gorgonia.Node) (out gorgonia.Nodes) {
		for it := w.g.From(n.ID()); it.Next(); {
			out = append(out, it.Node().(*gorgonia.Node))
		}
		return out
	}, keep)
	lo, hi := uintptr(math.MaxUint), uintptr(0)
	for _, n := range order {
		o, ok := n.Op().(planned[float32])
		if !ok || o.result().value == nil {
			continue
		}
		d := o.result().data
		all += len(d)
		at := uintptr(unsafe.Pointer(&d[0])) / 4
		lo, hi = min(lo, at), max(hi, at+uintptr(len(d)))
	}
	return int(hi - lo), all
}

func (w *tower) run(t *testing.T, times int) (loss float32, grads [][]float32) {
	vm := gorgonia.NewTapeMachine(w.g)
	defer vm.Close()
	for range times {
		vm.Reset()
		require.NoError(t, vm.RunAll())
	}
	for _, p := range w.params {
		g, err := p.Grad()
		require.NoError(t, err)
		grads = append(grads, slices.Clone(g.(*tensor.Dense).Float32s()))
	}
	return float32(*w.cost.Value().(*gorgonia.F32)), grads
}

func TestSharedBuffersChangeNoResult(t *testing.T) {
	for _, layers := range []int{1, 2, 3, 6} {
		loss, grads := newTower(t, layers).run(t, 2)
		shared := newTower(t, layers)
		used, all := shared.share(t)
		sharedLoss, sharedGrads := shared.run(t, 2)
		require.Equal(t, loss, sharedLoss)
		require.Equal(t, grads, sharedGrads, "%d layers", layers)
		require.Less(t, used, all)
	}
}

func TestGradientsOfActivationsTakeConstantMemory(t *testing.T) {
	// What a layer adds is what its backward pass reads, not the gradients of
	// its activations as well.
	perLayer := func(layers int, recomputed bool) (used, all int) {
		u1, a1 := newTowerWith(t, layers, recomputed).share(t)
		u2, a2 := newTowerWith(t, layers+1, recomputed).share(t)
		return u2 - u1, a2 - a1
	}
	used, all := perLayer(4, false)
	again, _ := perLayer(7, false)
	require.Equal(t, used, again)
	require.Less(t, used, all*6/10)
	// A recomputed layer adds its input alone: (B,T,C), rounded up to lines.
	const activation = (2*5*6 + 15) / 16 * 16
	used, _ = perLayer(4, true)
	require.Equal(t, activation, used)
}

func TestRecomputedLayersHaveTheSameGradients(t *testing.T) {
	for _, layers := range []int{1, 3} {
		plain, again := newTower(t, layers), newTowerWith(t, layers, true)
		if layers > 1 { // the stock ops of layer 1 are not recomputed: compare with a tower that has none
			plain = newTowerWith(t, layers, true)
			plain.share(t)
		}
		loss, grads := plain.run(t, 2)
		recomputedLoss, recomputedGrads := again.run(t, 2)
		require.Equal(t, loss, recomputedLoss)
		require.Equal(t, grads, recomputedGrads, "%d layers", layers)
	}
}
