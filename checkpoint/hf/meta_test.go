package hf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/golden"
)

func writeTensors(t testing.TB, path string, tensors []safetensors.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(f, tensors, nil))
	require.NoError(t, f.Close())
}

// The golden files hold the query and key projections as Meta stores them, made
// by PyTorch and shown there to give the same logits with interleaved RoPE.
func TestLoadMeta(t *testing.T) {
	file := golden.Load(t, "llama2-gqa")
	var header struct {
		Config struct {
			T, C, H, K, D, F, L, V int
			Eps, Theta             float64
		}
	}
	file.Header(t, &header)
	h := header.Config
	cfg := gptblock.Config{
		Vocab: h.V, Context: h.T, Layers: h.L, Channels: h.C, Heads: h.H, KVHeads: h.K, HeadSize: h.D, Hidden: h.F,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: h.Eps,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE, RoPETheta: h.Theta,
	}
	names := strings.NewReplacer("model.embed_tokens", "tok_embeddings", "model.norm", "norm", "lm_head", "output", "model.layers", "layers",
		"input_layernorm", "attention_norm", "post_attention_layernorm", "ffn_norm",
		"self_attn.v_proj", "attention.wv", "self_attn.o_proj", "attention.wo",
		"mlp.gate_proj", "feed_forward.w1", "mlp.down_proj", "feed_forward.w2", "mlp.up_proj", "feed_forward.w3")
	tensors := []safetensors.Tensor{{Name: "rope.freqs", Dtype: safetensors.F32, Shape: []int{1}, F32: []float32{1}}}
	add := func(name string, x golden.Tensor) {
		tensors = append(tensors, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: x.Shape, F32: x.Float32()})
	}
	for name, x := range file.Under("init/") {
		if !strings.Contains(name, "q_proj") && !strings.Contains(name, "k_proj") {
			add(names.Replace(name), x)
		}
	}
	meta := file.Under("meta/")
	require.Len(t, meta, 2*h.L)
	for name, x := range meta {
		add(name, x)
	}
	path := filepath.Join(t.TempDir(), "consolidated.safetensors")
	writeTensors(t, path, tensors)

	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = gptblock.New(ps, cfg)
	require.NoError(t, err)
	require.NoError(t, hf.LoadMeta(ps, cfg, path))
	for name, x := range values(t, ps) {
		require.Equal(t, file.Tensor(t, "init/"+name).Float32(), float32s(x), name)
	}

	cfg.Position = gptblock.PositionLearned
	require.ErrorContains(t, hf.LoadMeta(ps, cfg, path), `position "learned"`)
}

func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i := range x {
		y[i] = float32(x[i])
	}
	return y
}

// Experts, as Mistral's own loader names them.
func TestLoadMetaMixture(t *testing.T) {
	m := load(t, golden.Dir(t, "hf-mixtral"), tensor.Float32)
	want := values(t, m.ps)
	names := strings.NewReplacer("block_sparse_moe", "feed_forward", "model.embed_tokens", "tok_embeddings", "model.norm", "norm",
		"lm_head", "output", "model.layers", "layers", "input_layernorm", "attention_norm", "post_attention_layernorm", "ffn_norm",
		"self_attn.q_proj", "attention.wq", "self_attn.k_proj", "attention.wk", "self_attn.v_proj", "attention.wv", "self_attn.o_proj", "attention.wo")
	var tensors []safetensors.Tensor
	const D = 4
	for _, p := range m.ps.All() {
		x := float32s(want[p.Name()])
		if p.Role() == graph.QueryWeight || p.Role() == graph.KeyWeight {
			// Rows of a head from (i,i+D/2) to pairs.
			cols := p.Shape()[1]
			y := make([]float32, 0, len(x))
			for row := range p.Shape()[0] {
				head, j := row/D*D, row%D
				from := head + j/2 + j%2*D/2
				y = append(y, x[from*cols:(from+1)*cols]...)
			}
			x = y
		}
		tensors = append(tensors, safetensors.Tensor{Name: names.Replace(p.Name()), Dtype: safetensors.F32, Shape: p.Shape(), F32: x})
	}
	path := filepath.Join(t.TempDir(), "consolidated.safetensors")
	writeTensors(t, path, tensors)
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = gptblock.New(ps, m.model.Config)
	require.NoError(t, err)
	require.NoError(t, hf.LoadMeta(ps, m.model.Config, path))
	require.Equal(t, want, values(t, ps))
}
