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

// header is what a golden file says of its model, in its own letters.
type header struct {
	System string `json:"system"`
	Config struct {
		B, T, C, H, K, D, F, L, V, E int
		Gelu                         string
		Bias, Tied                   bool
		Eps, Theta                   float64
		Window                       int
		Windows                      []int
		TopK                         int     `json:"top_k"`
		LogitScale                   float64 `json:"logit_scale"`
		BalanceCoef                  float64 `json:"balance_coef"`
		AttentionScale               float64 `json:"attention_scale"`
		SoftCap                      float64 `json:"soft_cap"`
		EmbeddingScale               float64 `json:"embedding_scale"`
		PadToken                     *int    `json:"pad_token"`
	}
	Recipe struct {
		ZLoss float64 `json:"z_loss"`
	}
}

// config is the gptblock.Config of a golden model.
func (h header) config() gptblock.Config {
	c := h.Config
	cfg := gptblock.Config{
		Vocab: c.V, Context: c.T, Layers: c.L, Channels: c.C, Heads: c.H, KVHeads: c.K, HeadSize: c.D, Hidden: c.F,
		NormEps: c.Eps, Tied: c.Tied, RoPETheta: c.Theta, ZLoss: h.Recipe.ZLoss, LogitScale: c.LogitScale,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, Windows: c.Windows,
	}
	if c.Window > 0 {
		cfg.Windows = []int{c.Window}
	}
	switch h.System {
	case "gpt2", "gpt3":
		cfg.Layout, cfg.Norm, cfg.Position = gptblock.LayoutGPT2, gptblock.NormLayer, gptblock.PositionLearned
		cfg.Bias, cfg.NormBias = c.Bias, c.Bias
		cfg.Activation = map[string]gptblock.Activation{"tanh": gptblock.GELU, "erf": gptblock.GELUErf}[c.Gelu]
	case "palm":
		cfg.Block, cfg.Norm = gptblock.BlockParallel, gptblock.NormLayer
	case "mixtral":
		cfg.Experts, cfg.TopK, cfg.Router, cfg.RouterLossCoef = c.E, c.TopK, gptblock.RouterTopKSoftmax, c.BalanceCoef
	case "grok-1":
		cfg.Block, cfg.Activation = gptblock.BlockSandwich, gptblock.GeGLU
		cfg.Experts, cfg.TopK, cfg.Router = c.E, c.TopK, gptblock.RouterSoftmaxTopK
		cfg.AttentionScale, cfg.AttentionSoftCap = c.AttentionScale, c.SoftCap
		cfg.EmbeddingScale, cfg.PadToken = c.EmbeddingScale, c.PadToken
	}
	return cfg
}

// goldenModel is a model with the weights of a golden file.
type goldenModel struct {
	file            *golden.File
	header          header
	params          *graph.Params
	model           *gptblock.Model
	logits, loss    *gorgonia.Node
	tokens, targets *gorgonia.Node
}

// newGoldenModel builds the model of a golden file, its config changed if so
// wanted. What a changed model has and the file has not stays as it starts,
// but for a head, which is the file's embedding.
func newGoldenModel(t *testing.T, name string, dt tensor.Dtype, change ...func(*gptblock.Config)) *goldenModel {
	t.Helper()
	m := &goldenModel{file: golden.Load(t, name)}
	m.file.Header(t, &m.header)
	g := gorgonia.NewGraph()
	var err error
	m.params, err = graph.NewParams(g, graph.WithDtype(dt))
	require.NoError(t, err)
	cfg := m.header.config()
	for _, f := range change {
		f(&cfg)
	}
	m.model, err = gptblock.New(m.params, cfg)
	require.NoError(t, err)
	inits := m.file.Under("init/")
	if len(change) == 0 {
		require.Equal(t, len(inits), m.params.Len(), "number of parameters")
	}
	for _, p := range m.params.All() {
		w, ok := inits[p.Name()]
		if !ok && p.Role() == graph.LMHead {
			w, ok = inits[m.model.Tokens.Table.Name()]
		}
		if !ok && len(change) > 0 {
			continue
		}
		require.True(t, ok, "the golden file has no parameter %s", p.Name())
		require.Equal(t, w.Shape, []int(p.Shape()), p.Name())
		f32, f64, err := graph.Floats(p.Value())
		require.NoError(t, err)
		copy(f32, w.Float32())
		copy(f64, w.Float64())
	}
	c := m.header.Config
	m.tokens = gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(c.B, c.T), gorgonia.WithName("tokens"))
	m.targets = gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(c.B, c.T), gorgonia.WithName("targets"))
	m.loss, err = m.model.Loss(m.tokens, m.targets)
	require.NoError(t, err)
	m.logits, err = m.model.Logits(m.tokens)
	require.NoError(t, err)
	return m
}

// batch is the feed of a step.
func (m *goldenModel) batch(t *testing.T, step int) graph.Feed {
	return graph.Feed{
		m.tokens:  m.file.Tensor(t, "ids").Rows()[step].I32,
		m.targets: m.file.Tensor(t, "targets").Rows()[step].I32,
	}
}

// gradients is a solver that only looks.
type gradients map[string][]float64

func (g gradients) Step(params []gorgonia.ValueGrad) error {
	for _, vg := range params {
		grad, err := vg.Grad()
		if err != nil {
			return err
		}
		g[vg.(*graph.Param).Name()] = float64s(grad)
	}
	return nil
}

func float64s(v gorgonia.Value) []float64 {
	f32, f64, err := graph.Floats(v)
	if err != nil {
		panic(err)
	}
	out := append([]float64(nil), f64...)
	for _, x := range f32 {
		out = append(out, float64(x))
	}
	return out
}

var modelGoldens = []string{
	"gpt2-tanh", "gpt2-erf-nobias", "gpt2-untied", "gpt2-ignore", "gpt2-wide", "gpt3",
	"llama", "llama-tied", "llama2-gqa", "llama2-wide", "mistral", "mixtral", "palm", "grok-1", "grok-1-pad",
}

// deviation is what of a model is farthest from its golden file, and how far:
// the loss and the logits relative to their size, the gradients to the largest
// of all of them. Some, such as that of the keys' bias, are truly zero and have
// no size of their own.
func (m *goldenModel) deviation(t *testing.T) (of string, by float64) {
	t.Helper()
	prog, err := graph.Compile(m.loss, m.params, graph.Keep(m.logits))
	require.NoError(t, err)
	defer prog.Close()
	got := gradients{}
	r, err := prog.Step(context.Background(), got, m.batch(t, 0))
	require.NoError(t, err)

	loss := m.file.Tensor(t, "f64/loss").Float64()[0]
	of, by = "loss", math.Abs(r.Loss-loss)/math.Abs(loss)
	if d := golden.RelErr(float64s(prog.Value(m.logits)), m.file.Tensor(t, "logits").Float64()); !(d <= by) {
		of, by = "logits", d
	}
	grads := m.file.Under("grad/")
	size := 0.0
	for _, g := range grads {
		for _, x := range g.Float64() {
			size = max(size, math.Abs(x))
		}
	}
	for name, g := range got {
		want, ok := grads[name]
		if !ok {
			continue
		}
		if d := golden.MaxDiff(g, want.Float64()) / size; !(d <= by) {
			of, by = "gradient of "+name, d
		}
	}
	return of, by
}

func TestModelsEqualPyTorch(t *testing.T) {
	for _, name := range modelGoldens {
		for _, c := range []struct {
			dtype tensor.Dtype
			tol   float64
		}{{tensor.Float64, 1e-12}, {tensor.Float32, 2e-5}} {
			t.Run(fmt.Sprintf("%s/%v", name, c.dtype), func(t *testing.T) {
				m := newGoldenModel(t, name, c.dtype)
				require.Len(t, m.file.Under("grad/"), m.params.Len(), "a gradient for each parameter")
				of, by := m.deviation(t)
				require.LessOrEqual(t, by, c.tol, of)
			})
		}
	}
}
