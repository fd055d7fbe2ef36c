package gptblock_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// mustParams is an empty registry on a new graph.
func mustParams(t *testing.T) *graph.Params {
	t.Helper()
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	return ps
}

// Each layer in a graph of the user's own, joined by stock ops, must train:
// every parameter gets a gradient that is not zero.
func TestLayersAloneInAPlainGraph(t *testing.T) {
	for name, build := range map[string]func(ps *graph.Params) (gptblock.Layer, error){
		"Linear": func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewLinear(ps, "fc", graph.Weight, 12, 5, gptblock.LinearOptions{Bias: true})
		},
		"Linear (Out,In)": func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewLinear(ps, "fc", graph.Weight, 12, 5, gptblock.LinearOptions{OutIn: true})
		},
		"LayerNorm": func(ps *graph.Params) (gptblock.Layer, error) { return gptblock.NewLayerNorm(ps, "ln", 12, 1e-5, true) },
		"RMSNorm":   func(ps *graph.Params) (gptblock.Layer, error) { return gptblock.NewRMSNorm(ps, "ln", 12, 1e-6) },
		"CausalSelfAttention": func(ps *graph.Params) (gptblock.Layer, error) {
			// The bias of the keys has no gradient, so this one has no biases.
			return gptblock.NewCausalSelfAttention(ps, "attn", 12, gptblock.AttentionOptions{Heads: 3, Dropout: .1})
		},
		"CausalSelfAttention, grouped-query": func(ps *graph.Params) (gptblock.Layer, error) {
			rope, err := gptblock.NewRoPE(1e4, true)
			require.NoError(t, err)
			return gptblock.NewCausalSelfAttention(ps, "attn", 12, gptblock.AttentionOptions{
				Heads: 4, KVHeads: 2, HeadSize: 6, RoPE: rope, Layout: gptblock.LayoutLlama,
			})
		},
		"MLP": func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewMLP(ps, "mlp", 12, 48, gptblock.MLPOptions{Bias: true})
		},
		"MLP, gated": func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewMLP(ps, "mlp", 12, 32, gptblock.MLPOptions{Activation: gptblock.GeGLU, Layout: gptblock.LayoutLlama})
		},
		"PositionEmbedding": func(ps *graph.Params) (gptblock.Layer, error) {
			return gptblock.NewPositionEmbedding(ps, "wpe", 7, 12, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ps := mustParams(t)
			layer, err := build(ps)
			require.NoError(t, err)
			x := gorgonia.NewTensor(ps.Graph(), tensor.Float32, 3, gorgonia.WithShape(2, 7, 12),
				gorgonia.WithName("x"), gorgonia.WithInit(gorgonia.Gaussian(0, 1)))
			require.NoError(t, ps.Input(x))
			y, err := layer.Forward(x)
			require.NoError(t, err)
			y = gorgonia.Must(gorgonia.Add(y, gorgonia.NewConstant(float32(1)))) // a stock op, in place if it can
			cost := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Square(y))))))
			prog, err := graph.Compile(cost, ps)
			require.NoError(t, err)
			defer prog.Close()
			grads := gradients{}
			_, err = prog.Step(context.Background(), grads)
			require.NoError(t, err)
			require.Len(t, grads, ps.Len())
			for name, g := range grads {
				require.NotZero(t, maxAbs(g), name)
			}
		})
	}
}

func maxAbs(xs []float64) (m float64) {
	for _, x := range xs {
		m = max(m, x, -x)
	}
	return m
}

func TestLayersRefuse(t *testing.T) {
	ps := mustParams(t)
	x := gorgonia.NewMatrix(ps.Graph(), tensor.Float32, gorgonia.WithShape(2, 12), gorgonia.WithName("x"))
	second := func(_ any, err error) error { return err }

	require.ErrorIs(t, second(gptblock.NewLinear(ps, "a", graph.RoleUnset, 2, 3, gptblock.LinearOptions{})), graph.ErrRoleUnset)
	require.ErrorContains(t, second(gptblock.NewCausalSelfAttention(ps, "b", 12, gptblock.AttentionOptions{Heads: 5})), "heads = 5, want a divisor of the 12 channels")
	require.ErrorContains(t, second(gptblock.NewCausalSelfAttention(ps, "c", 12, gptblock.AttentionOptions{})), "heads = 0")
	require.ErrorContains(t, second(gptblock.NewCausalSelfAttention(ps, "d", 12, gptblock.AttentionOptions{Heads: 3, Dropout: 1})), "p = 1, want 0 <= p < 1")
	require.ErrorContains(t, second(gptblock.NewMLP(ps, "e", 12, 48, gptblock.MLPOptions{Activation: "relu"})), `activation = "relu"`)
	require.ErrorContains(t, second(gptblock.NewDropout(ps, "f", -1)), "f: p = -1")
	require.ErrorContains(t, second(gptblock.NewStochasticDepth(ps, "g", 1)), "g: p = 1")
	require.ErrorContains(t, second(gptblock.NewBlock(ps, small(), 2, nil)), "layer = 2, want 0 <= layer < 2")
	require.Zero(t, ps.Len(), "refused layers leave no parameters")

	fc, err := gptblock.NewLinear(ps, "fc", graph.Weight, 5, 5, gptblock.LinearOptions{})
	require.NoError(t, err)
	require.ErrorContains(t, second(fc.Forward(x)), "fc.weight: op: Linear: shape of w = (5, 5), want (12, 5)")
	pad := 0
	attn, err := gptblock.NewCausalSelfAttention(ps, "h", 12, gptblock.AttentionOptions{Heads: 3, PadToken: &pad})
	require.NoError(t, err)
	require.ErrorContains(t, second(attn.Forward(x)), "needs the token ids")
}

func TestLayersRefuseNilParams(t *testing.T) {
	second := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"Linear":              second(gptblock.NewLinear(nil, "a", graph.Weight, 2, 3, gptblock.LinearOptions{})),
		"LayerNorm":           second(gptblock.NewLayerNorm(nil, "a", 2, 1e-5, true)),
		"RMSNorm":             second(gptblock.NewRMSNorm(nil, "a", 2, 1e-5)),
		"CausalSelfAttention": second(gptblock.NewCausalSelfAttention(nil, "a", 12, gptblock.AttentionOptions{Heads: 3})),
		"MLP":                 second(gptblock.NewMLP(nil, "a", 2, 3, gptblock.MLPOptions{})),
		"Mixture":             second(gptblock.NewMixture(nil, "a", 2, 3, gptblock.MixtureOptions{Experts: 2, TopK: 1})),
		"TokenEmbedding":      second(gptblock.NewTokenEmbedding(nil, "a", 2, 3, nil)),
		"PositionEmbedding":   second(gptblock.NewPositionEmbedding(nil, "a", 2, 3, nil)),
		"Dropout":             second(gptblock.NewDropout(nil, "a", .1)),
		"StochasticDepth":     second(gptblock.NewStochasticDepth(nil, "a", .1)),
		"Block":               second(gptblock.NewBlock(nil, small(), 0, nil)),
		"Model":               second(gptblock.New(nil, small())),
	} {
		require.ErrorContains(t, err, "Params", name)
	}
}

// The fused head and the logits with a loss over them are the same number.
func TestLossEqualsCrossEntropyOfLogits(t *testing.T) {
	c := small()
	c.LogitScale, c.LogitSoftCap, c.ZLoss = .5, 2, 1e-2
	ps := mustParams(t)
	m, err := gptblock.New(ps, c)
	require.NoError(t, err)
	ids := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(2, 5), gorgonia.WithName("ids"))
	targets := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(2, 5), gorgonia.WithName("targets"))
	fused, err := m.Loss(ids, targets)
	require.NoError(t, err)
	logits, err := m.Logits(ids)
	require.NoError(t, err)
	plain, err := gptblock.CrossEntropy(logits, targets, c.ZLoss)
	require.NoError(t, err)
	prog, err := graph.Compile(fused, ps, graph.ForwardOnly(), graph.Keep(plain))
	require.NoError(t, err)
	defer prog.Close()
	r, err := prog.Eval(context.Background(), graph.Feed{
		ids:     []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		targets: []int32{2, gptblock.IgnoreIndex, 4, 5, 6, 7, 8, 9, 10, 0},
	})
	require.NoError(t, err)
	require.Equal(t, 9., r.Weight)
	require.InEpsilon(t, float64s(prog.Value(plain))[0], r.Loss, 1e-6)
}
