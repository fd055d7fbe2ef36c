package hf_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

// edit changes keys of a JSON object; a nil value removes the key.
func edit(t testing.TB, buf []byte, changes map[string]any) []byte {
	t.Helper()
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(buf, &m))
	for key, v := range changes {
		if v == nil {
			delete(m, key)
		} else {
			m[key] = v
		}
	}
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}

func without(t testing.TB, buf []byte, key string) []byte {
	return edit(t, buf, map[string]any{key: nil})
}

func goldenConfig(t testing.TB, name string) []byte {
	buf, err := os.ReadFile(filepath.Join(golden.Dir(t, name), "config.json"))
	require.NoError(t, err)
	return buf
}

func TestReadConfig(t *testing.T) {
	read := func(name string) gptblock.Config {
		c, err := hf.ReadConfig(golden.Dir(t, name))
		require.NoError(t, err)
		return c
	}
	require.Equal(t, gptblock.Config{
		Vocab: 29, Context: 9, Layers: 2, Channels: 16, Heads: 4,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
		EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1,
		Init: gptblock.Init{Std: 0.3, ScaleResidual: true},
	}, read("hf-gpt2"))
	want := gptblock.Config{
		Vocab: 29, Context: 9, Layers: 2, Channels: 16, Heads: 4, KVHeads: 2, HeadSize: 6, Hidden: 20,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, RoPETheta: 1e4, Windows: []int{4},
		Init: gptblock.Init{Std: 0.3},
	}
	require.Equal(t, want, read("hf-mistral"))
	want.HeadSize, want.Windows = 0, nil
	want.RoPETheta, want.Experts, want.TopK, want.Router = 1e6, 4, 2, gptblock.RouterTopKSoftmax
	require.Equal(t, want, read("hf-mixtral"))
}

// A key that is not there has transformers' default, which a null is not.
func TestDefaultsOfTransformers(t *testing.T) {
	for text, check := range map[string]func(gptblock.Config) bool{
		`{"model_type":"gpt2"}`: func(c gptblock.Config) bool {
			return c.NumParams() == 124439808 && c.Tied && c.EmbeddingDropout == 0.1
		},
		`{"model_type":"llama"}`:                              func(c gptblock.Config) bool { return c.NumParams() == 6738415616 && c.NormEps == 1e-6 },
		`{"model_type":"mistral"}`:                            func(c gptblock.Config) bool { return c.Windows[0] == 4096 && c.KVHeads == 8 },
		`{"model_type":"mistral","sliding_window":null}`:      func(c gptblock.Config) bool { return c.Windows == nil },
		`{"model_type":"mistral","num_key_value_heads":null}`: func(c gptblock.Config) bool { return c.KVHeads == 0 },
		`{"model_type":"mixtral"}`: func(c gptblock.Config) bool {
			return c.NumParams() == 46702792704 && c.RoPETheta == 1e6 && c.RouterLossCoef == 0
		},
		`{"model_type":"mixtral","output_router_logits":true,"router_aux_loss_coef":0.02}`: func(c gptblock.Config) bool { return c.RouterLossCoef == 0.02 },
		`{"model_type":"gpt2","scale_attn_weights":false,"activation_function":"gelu"}`: func(c gptblock.Config) bool {
			return c.AttentionScale == 1 && c.Activation == gptblock.GELUErf
		},
	} {
		c, err := hf.ParseConfig([]byte(text))
		require.NoError(t, err, text)
		require.True(t, check(c), "%s gives %+v", text, c)
	}
}

func TestReadConfigRefuses(t *testing.T) {
	gpt2, llama, mixtral := goldenConfig(t, "hf-gpt2"), goldenConfig(t, "hf-llama"), goldenConfig(t, "hf-mixtral")
	for _, c := range []struct {
		buf     []byte
		changes map[string]any
		want    string
	}{
		{gpt2, map[string]any{"model_type": "bert"}, `model_type = "bert"`},
		{gpt2, map[string]any{"model_type": nil}, `model_type = ""`},
		{gpt2, map[string]any{"model_type": "palm"}, `model_type = "palm" without the key "gorget"`},
		{gpt2, map[string]any{"activation_function": "relu"}, "activation_function = relu"},
		{gpt2, map[string]any{"scale_attn_by_inverse_layer_idx": true}, "scale_attn_by_inverse_layer_idx = true"},
		{gpt2, map[string]any{"add_cross_attention": true}, "add_cross_attention = true"},
		{llama, map[string]any{"hidden_act": "gelu"}, "hidden_act = gelu"},
		{llama, map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 2}}, "rope_scaling"},
		{llama, map[string]any{"rope_parameters": map[string]any{"rope_type": "llama3"}}, "rope_parameters"},
		{llama, map[string]any{"mlp_bias": true}, "attention_bias = false, want the same as mlp_bias"},
		{mixtral, map[string]any{"router_jitter_noise": 0.1}, "router_jitter_noise = 0.1"},
	} {
		_, err := hf.ParseConfig(edit(t, c.buf, c.changes))
		require.ErrorIs(t, err, hf.ErrUnsupported, c.want)
		require.ErrorContains(t, err, c.want)
	}
	var ce *gptblock.ConfigError
	_, err := hf.ParseConfig(edit(t, llama, map[string]any{"num_key_value_heads": 3}))
	require.ErrorAs(t, err, &ce)
	require.Equal(t, "kv_heads", ce.Field)
	_, err = hf.ParseConfig([]byte(`{"model_type":7}`))
	require.ErrorContains(t, err, "hf:")
	_, err = hf.ReadConfig(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Every config comes back as it was; what transformers has, it is told.
func TestConfigRoundTrip(t *testing.T) {
	gpt2, err := hf.ParseConfig(goldenConfig(t, "hf-gpt2"))
	require.NoError(t, err)
	llama, err := hf.ParseConfig(goldenConfig(t, "hf-llama"))
	require.NoError(t, err)
	mixtral, err := hf.ParseConfig(goldenConfig(t, "hf-mixtral"))
	require.NoError(t, err)
	pad := 0
	for _, c := range []struct {
		modelType string
		base      gptblock.Config
		change    func(*gptblock.Config)
	}{
		{"gpt2", gpt2, func(c *gptblock.Config) {}},
		{"gpt2", gpt2, func(c *gptblock.Config) { c.Activation, c.Tied, c.Hidden = gptblock.GELUErf, false, 40 }},
		{"gpt2", gpt2, func(c *gptblock.Config) { c.ZLoss, c.StochasticDepth, c.Init.PositionStd = 1e-4, 0.1, 0.01 }},
		{"gpt2", gpt2, func(c *gptblock.Config) { c.Windows, c.AttentionScale = []int{0, 0}, 1 }},
		{"gpt3", gpt2, func(c *gptblock.Config) { c.Windows = []int{0, 4} }},
		{"gorget", gpt2, func(c *gptblock.Config) { c.Bias, c.NormBias = false, false }}, // nanoGPT's option
		{"gorget", gpt2, func(c *gptblock.Config) { c.HeadSize = 8 }},
		{"llama", llama, func(c *gptblock.Config) { c.Tied, c.Bias, c.ResidualDropout = true, true, 0.1 }},
		{"llama", llama, func(c *gptblock.Config) { c.HeadSize, c.KVHeads, c.RoPETheta = 8, 0, 5e5 }},
		{"mistral", llama, func(c *gptblock.Config) { c.Windows = []int{3} }},
		{"mixtral", mixtral, func(c *gptblock.Config) { c.RouterLossCoef, c.Windows = 0.02, []int{3} }},
		{"palm", llama, func(c *gptblock.Config) {
			c.Block, c.Norm, c.LogitScale = gptblock.BlockParallel, gptblock.NormLayer, 0.25
		}},
		{"grok-1", mixtral, func(c *gptblock.Config) {
			c.Block, c.Activation, c.Router, c.PadToken = gptblock.BlockSandwich, gptblock.GeGLU, gptblock.RouterSoftmaxTopK, &pad
			c.AttentionSoftCap, c.EmbeddingScale = 30, 4
		}},
		{"gorget", llama, func(c *gptblock.Config) { c.Windows = []int{0, 4} }},
		{"gorget", llama, func(c *gptblock.Config) { c.LogitSoftCap = 30 }},
		{"gorget", llama, func(c *gptblock.Config) { c.Activation = gptblock.GeGLU }},
	} {
		cfg := c.base
		c.change(&cfg)
		require.NoError(t, cfg.Validate())
		require.Equal(t, c.modelType, hf.ModelType(cfg), "%+v", cfg)
		buf, err := hf.ConfigJSON(cfg, nil)
		require.NoError(t, err)
		back, err := hf.ParseConfig(buf)
		require.NoError(t, err)
		require.Equal(t, cfg, back)
		require.Contains(t, string(buf), `"model_type": "`+c.modelType+`"`)
		require.Equal(t, strings.Contains("gpt2 llama mistral mixtral", c.modelType), strings.Contains(string(buf), "architectures"))
	}
}

// One part of a config.json edited and the other not: an error that names the
// field, not a silent choice.
func TestTwoPartsMustAgree(t *testing.T) {
	c, err := hf.ParseConfig(goldenConfig(t, "hf-llama"))
	require.NoError(t, err)
	buf, err := hf.ConfigJSON(c, map[string]any{"eos_token_id": 2})
	require.NoError(t, err)
	bad := edit(t, buf, map[string]any{"rope_theta": 5e5, "num_hidden_layers": 3})
	_, err = hf.ParseConfig(bad)
	require.ErrorContains(t, err, "layers (2 and 3)")
	require.ErrorContains(t, err, "rope_theta (10000 and 500000)")
	back, err := hf.ParseConfig(without(t, bad, "gorget"))
	require.NoError(t, err)
	require.Equal(t, 3, back.Layers)

	_, err = hf.ConfigJSON(c, map[string]any{"vocab_size": 3})
	require.ErrorContains(t, err, `extra key "vocab_size"`)
	c.Layers = 0
	_, err = hf.ConfigJSON(c, nil)
	require.ErrorContains(t, err, "layers = 0")
}

func TestSaveAndLoadRefuse(t *testing.T) {
	m := load(t, golden.Dir(t, "hf-llama"), tensor.Float32)
	require.ErrorContains(t, hf.Save(t.TempDir(), m.ps, m.model.Config, hf.SaveOptions{Dtype: "I8"}), `dtype = "I8"`)
	require.ErrorContains(t, hf.Save(t.TempDir(), m.ps, m.model.Config, hf.SaveOptions{ShardBytes: -1}), "shard size = -1")
	require.ErrorContains(t, hf.Save(t.TempDir(), m.ps, m.model.Config, hf.SaveOptions{Extra: map[string]any{"gorget": 1}}), "gorget")
	require.ErrorContains(t, hf.Load(m.ps, golden.Dir(t, "hf-mistral")), "does not fit the model")
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = hf.New(ps, t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = hf.New(ps, golden.Dir(t, "hf-gpt2"))
	require.NoError(t, err)
	_, err = hf.New(ps, golden.Dir(t, "hf-gpt2"))
	require.ErrorIs(t, err, graph.ErrDuplicate)
}

func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"hf-gpt2", "hf-llama", "hf-mistral", "hf-mixtral"} {
		f.Add(goldenConfig(f, name))
	}
	f.Add([]byte(`{"model_type":"palm","gorget":{"vocab":1}}`))
	f.Fuzz(func(t *testing.T, buf []byte) {
		c, err := hf.ParseConfig(buf)
		if err != nil {
			return
		}
		// What is accepted is valid, and comes back.
		require.NoError(t, c.Validate())
		out, err := hf.ConfigJSON(c, nil)
		require.NoError(t, err)
		back, err := hf.ParseConfig(out)
		require.NoError(t, err)
		require.Equal(t, c, back)
	})
}
