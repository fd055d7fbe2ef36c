package gptblock_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/golden"
)

// TestTrap... are the mistakes that ports of these models commonly make, one
// test each; package presets has those of its numbers.

// numbers are n reproducible numbers of about unit size.
func numbers(n int) []float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = rng.NormFloat64()
	}
	return xs
}

// result is what a layer makes of x, in float64, its parameters by name given.
func result(t *testing.T, build func(*graph.Params) (gptblock.Layer, error), weights map[string][]float64, x []float64, shape ...int) []float64 {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithDtype(tensor.Float64))
	require.NoError(t, err)
	layer, err := build(ps)
	require.NoError(t, err)
	require.Equal(t, len(weights), ps.Len())
	for _, p := range ps.All() {
		_, f64, err := graph.Floats(p.Value())
		require.NoError(t, err)
		require.Equal(t, len(f64), copy(f64, weights[p.Name()]), p.Name())
	}
	y, err := layer.Forward(gorgonia.NewTensor(ps.Graph(), tensor.Float64, len(shape), gorgonia.WithName("x"),
		gorgonia.WithShape(shape...), gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x)))))
	require.NoError(t, err)
	vm := gorgonia.NewTapeMachine(ps.Graph())
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	return float64s(y.Value())
}

const trapC, trapT = 8, 7 // channels, and tokens of one sequence

// attention is the result of an attention layer in LLaMA's layout.
func attention(t *testing.T, o gptblock.AttentionOptions, q, k, v, x []float64) []float64 {
	t.Helper()
	o.Layout = gptblock.LayoutLlama
	weights := map[string][]float64{"a.q_proj.weight": q, "a.k_proj.weight": k, "a.v_proj.weight": v, "a.o_proj.weight": numbers(trapC * trapC)}
	return result(t, func(ps *graph.Params) (gptblock.Layer, error) {
		return gptblock.NewCausalSelfAttention(ps, "a", trapC, o)
	}, weights, x, 1, trapT, trapC)
}

// A window of W is W keys, the query's own among them: 0 <= i-j < W. Some code
// has W+1. What is masked has no weight at all, also under a soft cap, which
// comes before the mask.
func TestTrapWindowOffByOne(t *testing.T) {
	w := numbers(trapC * trapC)
	for window := range trapT {
		for _, soft := range []float64{0, 30} {
			o := gptblock.AttentionOptions{Heads: 2, Window: window, SoftCap: soft}
			before := attention(t, o, w, w, w, numbers(trapT*trapC))
			for j := range trapT {
				x := numbers(trapT * trapC)
				x[j*trapC] += 1
				after := attention(t, o, w, w, w, x)
				for i := range trapT {
					sees := i >= j && (window == 0 || i-j < window)
					same := golden.MaxDiff(after[i*trapC:(i+1)*trapC], before[i*trapC:(i+1)*trapC]) == 0
					require.NotEqual(t, sees, same, "window %d, query %d, key %d", window, i, j)
				}
			}
		}
	}
}

// Query head h has the key and value head h/(H/K), not h mod K.
func TestTrapGroupedQueryHeads(t *testing.T) {
	const H, K, D = 4, 2, trapC / 4
	q, kv, x := numbers(trapC*trapC), numbers(K*D*trapC), numbers(trapT*trapC)
	want := attention(t, gptblock.AttentionOptions{Heads: H, KVHeads: K}, q, kv, kv, x)
	spread := func(of func(h int) int) []float64 {
		var w []float64 // (HD,C)
		for h := range H {
			k := of(h)
			w = append(w, kv[k*D*trapC:(k+1)*D*trapC]...)
		}
		return attention(t, gptblock.AttentionOptions{Heads: H}, q, w, w, x)
	}
	require.InDeltaSlice(t, want, spread(func(h int) int { return h / (H / K) }), 1e-12)
	require.Greater(t, golden.RelErr(spread(func(h int) int { return h % K }), want), 0.1)
}

// Meta's weights pair channels 2i and 2i+1, Hugging Face's i and i+D/2: the same
// model once the rows are moved, another one if they are not.
func TestTrapRoPEPairing(t *testing.T) {
	const H, D = 2, trapC / 2
	halves := numbers(trapC * trapC)
	pairs := make([]float64, len(halves)) // Meta's rows
	for h := range H {
		for i := range D / 2 {
			for half := range 2 {
				to, from := h*D+2*i+half, h*D+i+half*D/2
				copy(pairs[to*trapC:(to+1)*trapC], halves[from*trapC:])
			}
		}
	}
	v, x := numbers(trapC*trapC), numbers(trapT*trapC)
	with := func(w []float64, interleaved bool) []float64 {
		rope, err := gptblock.NewRoPE(1e4, interleaved)
		require.NoError(t, err)
		return attention(t, gptblock.AttentionOptions{Heads: H, RoPE: rope}, w, w, v, x)
	}
	want := with(halves, false)
	require.InDeltaSlice(t, want, with(pairs, true), 1e-12)
	require.Greater(t, golden.RelErr(with(pairs, false), want), 0.01)
	require.Greater(t, golden.RelErr(with(halves, true), want), 0.01)
}

// The gate is the matrix that is activated, w1, not w3; and Grok-1's GELU is the
// tanh form, which jax.nn.gelu is, not erf.
func TestTrapGatedActivations(t *testing.T) {
	const gate, up, down = 1.3, -0.7, 2.0
	gelu := func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) }
	for act, f := range map[gptblock.Activation]func(float64) float64{
		gptblock.GeGLU:  gelu,
		gptblock.SwiGLU: func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	} {
		weights := map[string][]float64{"m.gate_proj.weight": {gate}, "m.up_proj.weight": {up}, "m.down_proj.weight": {down}}
		got := result(t, func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewMLP(ps, "m", 1, 1, gptblock.MLPOptions{Activation: act, Layout: gptblock.LayoutLlama})
		}, weights, []float64{1}, 1, 1)
		require.InDelta(t, down*f(gate)*up, got[0], 1e-14, act)
		require.Greater(t, math.Abs(down*gate*f(up)-got[0]), 1e-3, "%s: gate and value are not the same", act)
	}
	require.Greater(t, math.Abs(gelu(gate)-gate/2*(1+math.Erf(gate/math.Sqrt2))), 1e-4, "the forms can be told apart")
}

// Grok-1 takes the probabilities of its two experts as they are, Mixtral's sum
// to 1. The norm that follows hides the difference in Grok-1's logits.
func TestTrapGatesRenormalized(t *testing.T) {
	e := math.E
	for router, want := range map[gptblock.Router]float64{
		gptblock.RouterSoftmaxTopK: (e*e + e) / (e*e + e + 1),
		gptblock.RouterTopKSoftmax: 1,
	} {
		weights := map[string][]float64{"m.gate.weight": {1, 0, 2}} // the logits of x = 1
		for _, i := range []string{"0", "1", "2"} {
			// Each expert gives SiLU(1).
			weights["m.experts."+i+".w1.weight"], weights["m.experts."+i+".w3.weight"], weights["m.experts."+i+".w2.weight"] = []float64{1}, []float64{1}, []float64{1}
		}
		got := result(t, func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewMixture(ps, "m", 1, 1, gptblock.MixtureOptions{Experts: 3, TopK: 2, Router: router})
		}, weights, []float64{1}, 1, 1)
		require.InDelta(t, want/(1+1/e), got[0], 1e-14, router)
	}
}

// The load-balancing loss of transformers 4.36.0 took the mean of the
// probabilities over the experts, which is 1/E whatever the router does. The
// right one tells a router that collapsed from one that does not, and counts
// all layers together.
func TestTrapOldBalanceLoss(t *testing.T) {
	loss := func(layers ...[]float64) float64 {
		g := gorgonia.NewGraph()
		var logits gorgonia.Nodes
		for i, l := range layers {
			v := tensor.New(tensor.WithShape(2, 4), tensor.WithBacking(l))
			logits = append(logits, gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 4), gorgonia.WithName(string(rune('a'+i))), gorgonia.WithValue(v)))
		}
		n, err := gptblock.BalanceLoss(2, logits...)
		require.NoError(t, err)
		vm := gorgonia.NewTapeMachine(g)
		defer vm.Close()
		require.NoError(t, vm.RunAll())
		return float64s(n.Value())[0]
	}
	left, right := []float64{40, 40, 0, 0, 40, 40, 0, 0}, []float64{0, 0, 40, 40, 0, 0, 40, 40}
	even := []float64{40, 40, 0, 0, 0, 0, 40, 40}
	require.InDelta(t, 2, loss(even), 1e-12, "an even load is top-k")
	require.InDelta(t, 4, loss(left), 1e-12, "two of four experts have everything")
	require.InDelta(t, 2, loss(left, right), 1e-12, "not the mean of the layers, which is 4")
}

// The matrices at the ends of the branches start smaller: o_proj and down_proj.
// llama2.c scales w3, which is up_proj, instead of w2.
func TestTrapResidualInit(t *testing.T) {
	c := llama()
	c.Vocab, c.Layers, c.Channels, c.Heads, c.Hidden = 11, 8, 64, 4, 96
	c.Init = gptblock.Init{Std: 0.02, ScaleResidual: true}
	ps := mustParams(t)
	_, err := gptblock.New(ps, c)
	require.NoError(t, err)
	for name, want := range map[string]float64{"self_attn.o_proj": 0.02 / 4, "mlp.down_proj": 0.02 / 4, "mlp.up_proj": 0.02, "mlp.gate_proj": 0.02} {
		squares, xs := 0.0, float64s(ps.Get("model.layers.2."+name+".weight").Value())
		for _, x := range xs {
			squares += x * x
		}
		require.InEpsilon(t, want, math.Sqrt(squares/float64(len(xs))), 0.1, name)
	}
}

// PaLM's layers have one norm, for both branches; Grok-1's have four.
func TestTrapNormsOfALayer(t *testing.T) {
	for kind, norms := range map[gptblock.BlockKind]int{gptblock.BlockParallel: 1, gptblock.BlockPreNorm: 2, gptblock.BlockSandwich: 4} {
		c := llama()
		c.Block = kind
		ps, err := graph.NewParams(nil)
		require.NoError(t, err)
		_, err = gptblock.New(ps, c)
		require.NoError(t, err)
		gains := 0
		for _, p := range ps.All() {
			if p.Role() == graph.NormGain {
				gains++
			}
		}
		require.Equal(t, c.Layers*norms+1, gains, kind)
	}
}

// A tied head is one parameter, in one group, whatever the policy; it must not
// decay twice.
func TestTrapTiedHeadInOneGroup(t *testing.T) {
	for _, policy := range groups.Policies() {
		ps, err := graph.NewParams(nil)
		require.NoError(t, err)
		m, err := gptblock.New(ps, small())
		require.NoError(t, err)
		require.Same(t, m.Tokens.Table, m.Head)
		gs, err := groups.Split(ps, policy)
		require.NoError(t, err)
		times := 0
		for _, g := range gs.All() {
			for _, p := range g.Params {
				if p == m.Head {
					times++
				}
			}
		}
		require.Equal(t, 1, times, policy.Name)
	}
}
