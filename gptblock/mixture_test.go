package gptblock_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

// evaluate runs a golden model on its first batch and returns the loss and the
// values of nodes.
func (m *goldenModel) evaluate(t *testing.T, nodes ...*gorgonia.Node) (loss float64, values [][]float64) {
	t.Helper()
	prog, err := graph.Compile(m.loss, m.params, graph.ForwardOnly(), graph.Keep(nodes...))
	require.NoError(t, err)
	defer prog.Close()
	r, err := prog.Eval(context.Background(), m.batch(t, 0))
	require.NoError(t, err)
	for _, n := range nodes {
		values = append(values, float64s(prog.Value(n)))
	}
	return r.Loss, values
}

func TestRouterLoss(t *testing.T) {
	m := newGoldenModel(t, "mixtral", tensor.Float64)
	full, _ := m.evaluate(t)
	balance := m.file.Tensor(t, "aux/balance").Float64()[0]
	for _, coef := range []float64{0, 0.02, 0.7} {
		m := newGoldenModel(t, "mixtral", tensor.Float64, func(c *gptblock.Config) { c.RouterLossCoef = coef })
		loss, _ := m.evaluate(t)
		require.InDelta(t, full+(coef-0.02)*balance, loss, 1e-13, "coefficient %v", coef)
	}
	m = newGoldenModel(t, "mixtral", tensor.Float64, func(c *gptblock.Config) { *c = c.Eval() })
	loss, _ := m.evaluate(t)
	require.InDelta(t, full-m.file.Tensor(t, "aux/loss").Float64()[0], loss, 1e-13, "evaluation is the cross-entropy alone")
}

func TestRouterStatsEqualPyTorch(t *testing.T) {
	for _, name := range []string{"mixtral", "grok-1", "grok-1-pad"} {
		t.Run(name, func(t *testing.T) {
			m := newGoldenModel(t, name, tensor.Float64)
			var nodes gorgonia.Nodes
			for i, b := range m.model.Blocks {
				require.Empty(t, m.model.RouterStats(m.tokens)[i], "before the first run")
				nodes = append(nodes, b.MLP.(*gptblock.Mixture).Routing().Logits)
			}
			_, logits := m.evaluate(t, nodes...)
			stats := m.model.RouterStats(m.tokens)
			require.Len(t, stats, m.header.Config.L)
			for l, s := range stats {
				want := m.file.Tensor(t, "aux/router_logits").Rows()[l].Float64() // (B*T,E)
				require.LessOrEqual(t, golden.RelErr(logits[l], want), 1e-12)
				for e, n := range m.file.Tensor(t, "aux/counts").Rows()[l].I32 {
					require.Equal(t, int(n), s.Tokens[e], "layer %d, expert %d", l, e)
				}
				probability, entropy := softmaxStats(want, m.header.Config.E)
				require.InDeltaSlice(t, probability, s.Probability, 1e-12)
				require.InDelta(t, entropy, s.Entropy, 1e-12)
			}
		})
	}
	require.Nil(t, newGoldenModel(t, "llama", tensor.Float64).model.RouterStats(nil), "no experts")
}

// softmaxStats are the mean probabilities and the mean entropy of rows of
// logits, by their definitions.
func softmaxStats(logits []float64, experts int) (probability []float64, entropy float64) {
	probability = make([]float64, experts)
	rows := float64(len(logits) / experts)
	for ; len(logits) > 0; logits = logits[experts:] {
		var sum float64
		for _, l := range logits[:experts] {
			sum += math.Exp(l)
		}
		for e, l := range logits[:experts] {
			p := math.Exp(l) / sum
			probability[e] += p / rows
			entropy -= p * math.Log(p) / rows
		}
	}
	return probability, entropy
}

func TestExpertWithoutTokensHasZeroGradient(t *testing.T) {
	for _, name := range []string{"mixtral", "grok-1"} {
		m := newGoldenModel(t, name, tensor.Float32)
		prog, err := graph.Compile(m.loss, m.params)
		require.NoError(t, err)
		defer prog.Close()
		grads := gradients{}
		_, err = prog.Step(context.Background(), grads, m.batch(t, 0))
		require.NoError(t, err)
		idle := 0
		for l, s := range m.model.RouterStats(m.tokens) {
			for e, n := range s.Tokens {
				for _, w := range []string{"w1", "w2", "w3"} {
					g := grads[fmt.Sprintf("model.layers.%d.block_sparse_moe.experts.%d.%s.weight", l, e, w)]
					require.Equal(t, n == 0, golden.MaxDiff(g, make([]float64, len(g))) == 0, "layer %d, expert %d, %s", l, e, w)
				}
				if n == 0 {
					idle++
				}
			}
		}
		require.Positive(t, idle, "the golden batch leaves an expert idle")
	}
}

func TestRouterStatsOfEachInput(t *testing.T) {
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g)
	require.NoError(t, err)
	m, err := gptblock.New(ps, gptblock.Config{
		Vocab: 11, Context: 8, Layers: 2, Channels: 6, Heads: 1, Hidden: 5, Layout: gptblock.LayoutLlama,
		Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5, Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE,
		Experts: 3, TopK: 2, Router: gptblock.RouterTopKSoftmax,
	})
	require.NoError(t, err)
	ids := func(name string, n int) *gorgonia.Node {
		v := tensor.New(tensor.WithShape(1, n), tensor.WithBacking(make([]int32, n)))
		return gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(1, n), gorgonia.WithName(name), gorgonia.WithValue(v))
	}
	long, short := ids("long", 8), ids("short", 3)
	for _, n := range []*gorgonia.Node{long, short} {
		_, err = m.Hidden(n)
		require.NoError(t, err)
	}
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	require.NoError(t, vm.RunAll())
	for _, c := range []struct {
		ids    *gorgonia.Node
		tokens int
	}{{long, 8}, {short, 3}} {
		for _, s := range m.RouterStats(c.ids) {
			require.Equal(t, 2*c.tokens, s.Tokens[0]+s.Tokens[1]+s.Tokens[2])
		}
	}
}

func TestMixtureCounts(t *testing.T) {
	for _, c := range []struct {
		name        string
		cfg         gptblock.Config
		all, active float64 // as published, or as its sizes give; 1e9
	}{
		{"Mixtral 8x7B", gptblock.Config{
			Vocab: 32000, Context: 32768, Layers: 32, Channels: 4096, Heads: 32, KVHeads: 8, Hidden: 14336,
			Block: gptblock.BlockPreNorm, Activation: gptblock.SwiGLU, Router: gptblock.RouterTopKSoftmax,
		}, 46.70, 12.88},
		{"Grok-1", gptblock.Config{
			Vocab: 131072, Context: 8192, Layers: 64, Channels: 6144, Heads: 48, KVHeads: 8, Hidden: 32768, Tied: true,
			Block: gptblock.BlockSandwich, Activation: gptblock.GeGLU, Router: gptblock.RouterSoftmaxTopK,
		}, 315.68, 83.8},
	} {
		cfg := c.cfg
		cfg.Layout, cfg.Norm, cfg.NormEps, cfg.Position = gptblock.LayoutLlama, gptblock.NormRMS, 1e-5, gptblock.PositionRoPE
		cfg.Experts, cfg.TopK = 8, 2
		if c.name == "Grok-1" {
			cfg.HeadSize = 128
		}
		require.InDelta(t, c.all, float64(cfg.NumParams())/1e9, 0.005, c.name)
		require.InDelta(t, c.active, float64(cfg.NumActiveParams())/1e9, 0.05, c.name)

		// Another expert costs its row of the router, one more chosen expert its
		// three matrices: 6 operations for each parameter.
		more, chosen := cfg, cfg
		more.Experts++
		chosen.TopK++
		flops, layers, channels := cfg.FLOPsPerToken(1024), float64(cfg.Layers), float64(cfg.Channels)
		require.Equal(t, 6*layers*channels, more.FLOPsPerToken(1024)-flops)
		require.Equal(t, 6*layers*3*channels*float64(cfg.Hidden), chosen.FLOPsPerToken(1024)-flops)
	}
}

func TestNewMixtureErrors(t *testing.T) {
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	for _, c := range []struct {
		o    gptblock.MixtureOptions
		want string
	}{
		{gptblock.MixtureOptions{TopK: 1}, "gptblock: moe: experts = 0, want at least 1"},
		{gptblock.MixtureOptions{Experts: 4}, "gptblock: moe: top-k = 0, want 1 to experts = 4"},
		{gptblock.MixtureOptions{Experts: 4, TopK: 5}, "gptblock: moe: top-k = 5, want 1 to experts = 4"},
		{gptblock.MixtureOptions{Experts: 4, TopK: 2, Router: "best"}, `gptblock: moe: router = "best", want "topk_softmax" or "softmax_topk"`},
		{gptblock.MixtureOptions{Experts: 4, TopK: 2, Activation: gptblock.GELU}, `gptblock: moe: activation = "gelu", want "swiglu" or "geglu"`},
	} {
		_, err := gptblock.NewMixture(ps, "moe", 8, 16, c.o)
		require.EqualError(t, err, c.want)
	}
}

// A mixture can be used alone. Its router starts at zero here, so all experts
// are equally likely and the tie is broken by index.
func ExampleNewMixture() {
	g := gorgonia.NewGraph()
	ps, _ := graph.NewParams(g)
	moe, err := gptblock.NewMixture(ps, "moe", 8, 16, gptblock.MixtureOptions{Experts: 4, TopK: 2, Init: graph.Constant(0)})
	if err != nil {
		fmt.Println(err)
		return
	}
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(5, 8), gorgonia.WithName("x"), gorgonia.WithInit(gorgonia.Ones()))
	if _, err := moe.Forward(x); err != nil {
		fmt.Println(err)
		return
	}
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
		return
	}
	s := moe.Routing().Stats()
	fmt.Println("tokens of each expert:", s.Tokens)
	fmt.Println("mean probability:", s.Probability)
	fmt.Printf("entropy: %.3f nats of at most %.3f\n", s.Entropy, math.Log(4))
	// Output:
	// tokens of each expert: [5 5 0 0]
	// mean probability: [0.25 0.25 0.25 0.25]
	// entropy: 1.386 nats of at most 1.386
}
