package gptblock_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// trainer is a model with a batch, compiled.
type trainer struct {
	params *graph.Params
	model  *gptblock.Model
	prog   *graph.Program
	feed   graph.Feed
}

func newTrainer(t testing.TB, c gptblock.Config, batch, length int, opts ...graph.ParamsOption) *trainer {
	t.Helper()
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g, opts...)
	require.NoError(t, err)
	m, err := gptblock.New(ps, c)
	require.NoError(t, err)
	tokens := gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(batch, length), gorgonia.WithName("tokens"))
	targets := gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(batch, length), gorgonia.WithName("targets"))
	loss, err := m.Loss(tokens, targets)
	require.NoError(t, err)
	prog, err := graph.Compile(loss, ps)
	require.NoError(t, err)
	t.Cleanup(func() { prog.Close() })
	ids, next := make([]int32, batch*length), make([]int32, batch*length)
	for i := range ids {
		ids[i], next[i] = int32((i*i+1)%c.Vocab), int32((i*i+2)%c.Vocab)
	}
	return &trainer{ps, m, prog, graph.Feed{tokens: ids, targets: next}}
}

// step returns the loss and gradients at a step of the clock.
func (tr *trainer) step(t testing.TB, n int) (float64, gradients) {
	t.Helper()
	require.NoError(t, tr.prog.SetSteps(n))
	g := gradients{}
	r, err := tr.prog.Step(context.Background(), g, tr.feed)
	require.NoError(t, err)
	return r.Loss, g
}

// everything has each kind of randomness on.
func everything() gptblock.Config {
	c := small()
	c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = .1, .2, .1, .3
	return c
}

func TestDropoutIsReplayedByTheClock(t *testing.T) {
	a, b := newTrainer(t, everything(), 3, 8), newTrainer(t, everything(), 3, 8)
	loss3, grads3 := a.step(t, 3)
	loss4, _ := a.step(t, 4)
	require.NotEqual(t, loss3, loss4, "another step has other masks")
	again, gradsAgain := a.step(t, 3)
	require.Equal(t, loss3, again)
	require.Equal(t, grads3, gradsAgain)
	other, gradsOther := b.step(t, 3)
	require.Equal(t, loss3, other, "the masks depend on the model, not on the process")
	require.Equal(t, grads3, gradsOther)

	seeded := newTrainer(t, everything(), 3, 8, graph.WithSeed(1))
	eval := newTrainer(t, everything().Eval(), 3, 8)
	lossSeeded, _ := seeded.step(t, 3)
	require.NotEqual(t, loss3, lossSeeded)
	e3, _ := eval.step(t, 3)
	e4, _ := eval.step(t, 4)
	require.Equal(t, e3, e4, "nothing is random in evaluation")
}

// wide runs the parallel paths of the kernels.
func wide() gptblock.Config {
	c := everything()
	c.Vocab, c.Context, c.Channels, c.Heads = 301, 64, 96, 4
	return c
}

func TestBitEqualForAnyGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	llama := llama()
	llama.Vocab, llama.Context, llama.Layers, llama.Channels, llama.Heads, llama.KVHeads, llama.Hidden = 301, 64, 2, 96, 4, 2, 250
	for name, c := range map[string]gptblock.Config{"gpt2": wide(), "llama": llama} {
		t.Run(name, func(t *testing.T) {
			var loss float64
			var grads gradients
			for _, procs := range []int{1, 2, 3, 8} {
				runtime.GOMAXPROCS(procs)
				l, g := newTrainer(t, c, 3, 61).step(t, 5)
				if grads == nil {
					loss, grads = l, g
				}
				require.Equal(t, loss, l, "GOMAXPROCS %d", procs)
				require.Equal(t, grads, g, "GOMAXPROCS %d", procs)
			}
		})
	}
}

type noSolver struct{}

func (noSolver) Step([]gorgonia.ValueGrad) error { return nil }

func TestStepsAllocateNothingThatGrows(t *testing.T) {
	tr := newTrainer(t, wide(), 3, 61)
	step := func() {
		_, err := tr.prog.Step(context.Background(), noSolver{}, tr.feed)
		require.NoError(t, err)
	}
	step()
	step()
	const steps = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range steps {
		step()
	}
	runtime.ReadMemStats(&after)
	// One activation of the residual stream alone has 3*61*96*4 = 70 kB.
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/steps, uint64(60<<10))
}

func TestInitialValues(t *testing.T) {
	c := small()
	c.Channels, c.Vocab, c.Layers = 48, 400, 8
	c.Init = gptblock.Init{Std: .02, PositionStd: .01, ScaleResidual: true}
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	std := func(name string) float64 {
		xs := float64s(ps.Get(name).Value())
		var squares float64
		for _, x := range xs {
			squares += x * x
		}
		// In units of what n draws allow: five standard errors.
		require.Less(t, 5/math.Sqrt(2*float64(len(xs))), .2, "%s is too small for this test", name)
		return math.Sqrt(squares / float64(len(xs)))
	}
	for name, want := range map[string]float64{
		"transformer.wte.weight":             .02,
		"transformer.wpe.weight":             .01,
		"transformer.h.3.attn.c_attn.weight": .02,
		"transformer.h.3.attn.c_proj.weight": .02 / 4, // sqrt(2 * 8 layers)
		"transformer.h.3.mlp.c_fc.weight":    .02,
		"transformer.h.3.mlp.c_proj.weight":  .02 / 4,
		"transformer.h.0.ln_1.weight":        1,
		"transformer.ln_f.weight":            1,
		"transformer.ln_f.bias":              0,
		"transformer.h.0.attn.c_attn.bias":   0,
	} {
		if want == 0 || want == 1 {
			for _, x := range float64s(ps.Get(name).Value()) {
				require.Equal(t, want, x, name)
			}
			continue
		}
		require.InEpsilon(t, want, std(name), .2, name)
	}
}

func TestFanInInit(t *testing.T) {
	c := llama()
	c.Vocab, c.Layers, c.Channels, c.Heads, c.Hidden = 100, 1, 64, 4, 256
	c.Init = gptblock.Init{FanIn: true, EmbeddingStd: 1}
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	for name, want := range map[string]float64{
		"model.embed_tokens.weight":              1,
		"model.layers.0.self_attn.q_proj.weight": 1. / 8,
		"model.layers.0.mlp.down_proj.weight":    1. / 16,
	} {
		var squares float64
		xs := float64s(ps.Get(name).Value())
		for _, x := range xs {
			squares += x * x
		}
		require.InEpsilon(t, want, math.Sqrt(squares/float64(len(xs))), .1, name)
	}
}

func TestModelRefuses(t *testing.T) {
	_, err := gptblock.New(nil, small())
	require.ErrorContains(t, err, "New needs Params")

	described, err := graph.NewParams(nil)
	require.NoError(t, err)
	m, err := gptblock.New(described, small())
	require.NoError(t, err)
	g := gorgonia.NewGraph()
	ids := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Int32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	_, err = m.Loss(ids("a", 1, 2), ids("b", 1, 2))
	require.ErrorContains(t, err, "only described")

	ps, err := graph.NewParams(g)
	require.NoError(t, err)
	m, err = gptblock.New(ps, small())
	require.NoError(t, err)
	_, err = gptblock.New(ps, small())
	require.ErrorIs(t, err, graph.ErrDuplicate, "two models on one registry")
	_, err = m.Loss(ids("c", 1, 9), ids("d", 1, 9))
	require.ErrorContains(t, err, "T = 9, want T <= 8, the context")
	_, err = m.Logits(ids("e", 9))
	require.ErrorContains(t, err, "want an integer matrix (B,T)")
	_, err = m.Loss(ids("f", 2, 8), ids("h", 2, 7))
	require.ErrorContains(t, err, "want 16 targets")
}

func TestTokenOutsideOfTheVocabulary(t *testing.T) {
	tr := newTrainer(t, small(), 1, 4)
	for n := range tr.feed {
		if n.Name() == "tokens" {
			tr.feed[n] = []int32{0, 1, 11, 3}
		}
	}
	_, err := tr.prog.Step(context.Background(), noSolver{}, tr.feed)
	require.ErrorContains(t, err, "ids[2] = 11, want 0 <= id < 11, the size of the vocabulary")
}

// Gorgonia's own additions are single-threaded: a step must not need any.
func TestNoStockAdditions(t *testing.T) {
	llama := llama()
	llama.Vocab, llama.Context, llama.Layers, llama.Channels, llama.Heads, llama.Hidden = 11, 8, 2, 12, 3, 20
	for name, c := range map[string]gptblock.Config{"gpt2": small(), "with dropout": everything(), "llama": llama} {
		tr := newTrainer(t, c, 2, 8)
		for _, n := range tr.params.Graph().AllNodes() {
			if n.Op() != nil {
				require.False(t, strings.HasPrefix(n.Op().String(), "+"), "%s: %v", name, n)
			}
		}
	}
}
