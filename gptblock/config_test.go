package gptblock_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// gpt2 is GPT-2 124M.
func gpt2() gptblock.Config {
	return gptblock.Config{
		Vocab: 50257, Context: 1024, Layers: 12, Channels: 768, Heads: 12,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
		Init: gptblock.Init{Std: 0.02, ScaleResidual: true},
	}
}

// llama is LLaMA 7B.
func llama() gptblock.Config {
	return gptblock.Config{
		Vocab: 32000, Context: 2048, Layers: 32, Channels: 4096, Heads: 32, Hidden: 11008,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-6,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE,
	}
}

// small is a GPT-2 that runs in no time.
func small() gptblock.Config {
	c := gpt2()
	c.Vocab, c.Context, c.Layers, c.Channels, c.Heads = 11, 8, 2, 12, 3
	return c
}

func TestNumParams(t *testing.T) {
	mixtral := llama()
	mixtral.Hidden, mixtral.KVHeads, mixtral.Experts, mixtral.TopK, mixtral.Router = 14336, 8, 8, 2, gptblock.RouterTopKSoftmax
	palm := llama()
	palm.Vocab, palm.Channels, palm.Heads, palm.KVHeads, palm.HeadSize, palm.Hidden = 256000, 4096, 16, 1, 256, 0
	palm.Block, palm.Norm, palm.Tied = gptblock.BlockParallel, gptblock.NormLayer, true
	grok := mixtral
	grok.Vocab, grok.Layers, grok.Channels, grok.Heads, grok.HeadSize, grok.Hidden = 131072, 64, 6144, 48, 128, 32768
	grok.Block, grok.Activation, grok.Tied = gptblock.BlockSandwich, gptblock.GeGLU, true
	gpt3 := gpt2()
	gpt3.Layers, gpt3.Channels, gpt3.Heads, gpt3.Context = 96, 12288, 96, 2048
	for _, c := range []struct {
		name        string
		config      gptblock.Config
		all, active float64 // published, in 1e6
		places      float64
	}{
		{"GPT-2", gpt2(), 124.439808, 124.439808, 1e-6},
		{"GPT-3 175B", gpt3, 174.6e3, 174.6e3, 0.05e3},
		{"LLaMA 7B", llama(), 6738.415616, 6738.415616, 1e-6},
		{"Mixtral 8x7B", mixtral, 46.70e3, 12.88e3, 0.005e3},
		{"PaLM 8B", palm, 8.632e3, 8.632e3, 0.0005e3},
		{"Grok-1", grok, 315.68e3, 83.8e3, 0.1e3},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, c.config.Validate())
			require.InDelta(t, c.all, float64(c.config.NumParams())/1e6, c.places)
			require.InDelta(t, c.active, float64(c.config.NumActiveParams())/1e6, c.places)
		})
	}
	require.Zero(t, gptblock.Config{}.NumParams())
}

func TestDescribingAHugeModelIsCheap(t *testing.T) {
	c := gpt2()
	c.Layers, c.Channels, c.Heads, c.Context = 96, 12288, 96, 2048 // GPT-3 175B
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	start := time.Now()
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	require.Less(t, time.Since(start), 5*time.Second, "no weights are made")
	require.Equal(t, "96 layers, 12288 channels, 96 heads, context 2048, vocabulary 50257: 174.6B parameters", c.Describe())
}

func TestFLOPsPerToken(t *testing.T) {
	// nanoGPT's estimate_mfu for GPT-2: 6 N + 12 L H Q T, N without wpe.
	require.Equal(t, 6.*(124439808-1024*768)+12*12*768*1024, gpt2().FLOPsPerToken(1024))
	c := gpt2()
	c.Windows = []int{0, 128}
	require.Equal(t, 12.*6*768*(1024-128), gpt2().FLOPsPerToken(1024)-c.FLOPsPerToken(1024), "half of the layers see 128 keys")
	l := llama()
	require.Equal(t, 6.*(6738415616-32000*4096)+12*32*4096*100, l.FLOPsPerToken(100), "an untied table is only looked up")
	require.Zero(t, gptblock.Config{}.FLOPsPerToken(1))
}

func TestConfigIsJSON(t *testing.T) {
	pad := 0
	c := llama()
	c.PadToken, c.Windows = &pad, []int{0, 256}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var back gptblock.Config
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, c, back)
}

func TestValidateNamesTheField(t *testing.T) {
	minus, big := -1, 11
	for field, spoil := range map[string]func(*gptblock.Config){
		"vocab":              func(c *gptblock.Config) { c.Vocab = 0 },
		"context":            func(c *gptblock.Config) { c.Context = -1 },
		"layers":             func(c *gptblock.Config) { c.Layers = 0 },
		"channels":           func(c *gptblock.Config) { c.Channels = 0 },
		"heads":              func(c *gptblock.Config) { c.Heads = 5 },
		"kv_heads":           func(c *gptblock.Config) { c.KVHeads = 2 },
		"head_size":          func(c *gptblock.Config) { c.HeadSize = 257 },
		"hidden":             func(c *gptblock.Config) { c.Hidden = -4 },
		"layout":             func(c *gptblock.Config) { c.Layout = "" },
		"block":              func(c *gptblock.Config) { c.Block = "postnorm" },
		"norm":               func(c *gptblock.Config) { c.Norm = "" },
		"norm_bias":          func(c *gptblock.Config) { c.Norm = gptblock.NormRMS },
		"norm_eps":           func(c *gptblock.Config) { c.NormEps = 0 },
		"activation":         func(c *gptblock.Config) { c.Activation = "relu" },
		"position":           func(c *gptblock.Config) { c.Position = "" },
		"rope_theta":         func(c *gptblock.Config) { c.RoPETheta = -1 },
		"attention_scale":    func(c *gptblock.Config) { c.AttentionScale = math.NaN() },
		"attention_soft_cap": func(c *gptblock.Config) { c.AttentionSoftCap = -30 },
		"windows[1]":         func(c *gptblock.Config) { c.Windows = []int{0, -2} },
		"pad_token":          func(c *gptblock.Config) { c.PadToken = &big },
		"experts":            func(c *gptblock.Config) { c.Experts = -1 },
		"top_k":              func(c *gptblock.Config) { c.Experts, c.TopK = 4, 5 },
		"router":             func(c *gptblock.Config) { c.Experts, c.TopK = 4, 2 },
		"router_loss_coef": func(c *gptblock.Config) {
			*c = llama()
			c.Experts, c.TopK, c.Router, c.RouterLossCoef = 4, 2, gptblock.RouterSoftmaxTopK, -1
		},
		"embedding_scale":    func(c *gptblock.Config) { c.EmbeddingScale = math.Inf(1) },
		"logit_scale":        func(c *gptblock.Config) { c.LogitScale = math.NaN() },
		"logit_soft_cap":     func(c *gptblock.Config) { c.LogitSoftCap = -1 },
		"z_loss":             func(c *gptblock.Config) { c.ZLoss = -1 },
		"embedding_dropout":  func(c *gptblock.Config) { c.EmbeddingDropout = 1 },
		"attention_dropout":  func(c *gptblock.Config) { c.AttentionDropout = -0.1 },
		"residual_dropout":   func(c *gptblock.Config) { c.ResidualDropout = math.NaN() },
		"stochastic_depth":   func(c *gptblock.Config) { c.StochasticDepth = 2 },
		"init.std":           func(c *gptblock.Config) { c.Init.Std = -1 },
		"init.embedding_std": func(c *gptblock.Config) { c.Init.EmbeddingStd = math.Inf(1) },
		"init.position_std":  func(c *gptblock.Config) { c.Init.PositionStd = math.NaN() },
	} {
		t.Run(field, func(t *testing.T) {
			c := small()
			require.NoError(t, c.Validate())
			spoil(&c)
			err := c.Validate()
			var ce *gptblock.ConfigError
			require.ErrorAs(t, err, &ce)
			require.Equal(t, field, ce.Field)
			require.ErrorContains(t, err, "gptblock: config: "+field+" = ")
			ps, err := graph.NewParams(nil)
			require.NoError(t, err)
			_, err = gptblock.New(ps, c)
			require.ErrorAs(t, err, &ce, "New validates")
		})
	}
	c := small()
	c.PadToken = &minus
	require.ErrorContains(t, c.Validate(), "pad_token = -1, want a token of the vocabulary")
	c = small()
	c.Heads = 5
	require.ErrorContains(t, c.Validate(), "heads = 5, want a divisor of channels = 12")
	c = small()
	c.Position, c.HeadSize = gptblock.PositionRoPE, 3
	require.ErrorContains(t, c.Validate(), "head_size = 3, want an even number for RoPE")
}

func TestEvalTurnsRandomnessOff(t *testing.T) {
	c := small()
	c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = .1, .2, .3, .4
	require.Equal(t, small(), c.Eval())
}
