package hf_test

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/golden"
	"github.com/gorget/gorget/solvers"
)

// GORGET_STORIES260K names a folder with stories260K, a LLaMA of 260 thousand
// parameters that karpathy/llama2.c trained: config.json, model.safetensors,
// the original stories260K.bin with its vocabulary tok512.bin, and what
// llama2.c computes with it: io.safetensors, greedy.txt and
// unconditioned_greedy.txt.
func storiesDir(t *testing.T) string {
	dir := os.Getenv("GORGET_STORIES260K")
	if dir == "" {
		t.Skip("opt-in: set GORGET_STORIES260K to a folder with the pretrained stories260K model (README, Tests)")
	}
	return dir
}

// recorded reads a tensor of io.safetensors.
func recorded(t *testing.T, dir, name string) []float64 {
	f, err := safetensors.Open(filepath.Join(dir, "io.safetensors"))
	require.NoError(t, err)
	defer f.Close()
	info, ok := f.Tensor(name)
	require.True(t, ok, name)
	out := make([]float64, info.Len())
	if info.Dtype.IsFloat() {
		require.NoError(t, safetensors.Read(f, name, 0, out))
		return out
	}
	require.Equal(t, safetensors.I64, info.Dtype)
	r, err := f.Bytes(name)
	require.NoError(t, err)
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	for i := range out {
		out[i] = float64(int64(binary.LittleEndian.Uint64(raw[8*i:])))
	}
	return out
}

func int32s(x []float64) []int32 {
	y := make([]int32, len(x))
	for i := range x {
		y[i] = int32(x[i])
	}
	return y
}

func TestStories260KLogits(t *testing.T) {
	dir := storiesDir(t)
	ids := int32s(recorded(t, dir, "tokens"))
	m := load(t, dir, tensor.Float64)
	require.Equal(t, "llama", hf.ModelType(m.model.Config))
	diff := golden.MaxDiff(m.logits(t, ids, 1, len(ids)), recorded(t, dir, "logits_f64"))
	t.Logf("float64: %.1e", diff)
	require.LessOrEqual(t, diff, 1e-12)
	single := load(t, dir, tensor.Float32)
	diff = golden.RelErr(single.logits(t, ids, 1, len(ids)), recorded(t, dir, "logits"))
	t.Logf("float32: %.1e of the largest logit", diff)
	require.LessOrEqual(t, diff, 3e-6)
}

// greedy continues ids with the likeliest tokens to a length of n.
func (l loaded) greedy(t *testing.T, ids []int32, n int) []int32 {
	T := n // one graph for all lengths: later tokens do not change earlier logits
	g := gorgonia.NewGraph()
	ps, err := l.ps.Share(g)
	require.NoError(t, err)
	m, err := gptblock.New(ps, l.model.Config.Eval())
	require.NoError(t, err)
	tokens := gorgonia.NewMatrix(g, tensor.Int32, gorgonia.WithShape(1, T), gorgonia.WithName("tokens"))
	out, err := m.Logits(tokens)
	require.NoError(t, err)
	sum, err := gorgonia.Sum(out)
	require.NoError(t, err)
	prog, err := graph.Compile(sum, ps, graph.ForwardOnly(), graph.Keep(out))
	require.NoError(t, err)
	defer prog.Close()
	V := l.model.Config.Vocab
	window := make([]int32, T)
	for len(ids) < n {
		copy(window, ids)
		_, err := prog.Eval(context.Background(), graph.Feed{tokens: window})
		require.NoError(t, err)
		f32, _, err := graph.Floats(prog.Value(out))
		require.NoError(t, err)
		last := f32[(len(ids)-1)*V : len(ids)*V]
		ids = append(ids, int32(slices.Index(last, slices.Max(last))))
	}
	return ids
}

func TestStories260KGreedyText(t *testing.T) {
	dir := storiesDir(t)
	m := load(t, dir, tensor.Float32)
	vocab, err := dataset.LoadPieces(filepath.Join(dir, "tok512.bin"))
	require.NoError(t, err)
	for _, c := range []struct{ prompt, ids, text string }{
		{"Once upon a time", "greedy_ids", "greedy.txt"},
		{"", "unconditioned_greedy_ids", "unconditioned_greedy.txt"},
	} {
		prompt, err := vocab.Encode(c.prompt)
		require.NoError(t, err)
		want := int32s(recorded(t, dir, c.ids))
		require.Equal(t, want[:len(prompt)], prompt)
		got := m.greedy(t, prompt, len(want))
		require.Equal(t, want, got)
		text, err := vocab.Decode(got)
		require.NoError(t, err)
		buf, err := os.ReadFile(filepath.Join(dir, c.text))
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(string(buf)), strings.TrimSpace(text))
	}
}

// Loss as recorded; then trained on, saved, loaded: the same weights, and a
// better loss.
func TestStories260KTrainsOn(t *testing.T) {
	dir := storiesDir(t)
	ps, err := graph.NewParams(gorgonia.NewGraph(), graph.WithoutInit())
	require.NoError(t, err)
	m, err := hf.New(ps, dir)
	require.NoError(t, err)
	const B, T = 1, 64
	tokens := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("tokens"))
	targets := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("targets"))
	loss, err := m.Loss(tokens, targets)
	require.NoError(t, err)
	gs, err := groups.Split(ps, groups.GPT2Policy())
	require.NoError(t, err)
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(1e-3), solvers.WithWeightDecay(0.1))
	require.NoError(t, err)
	prog, err := graph.Compile(loss, ps)
	require.NoError(t, err)
	defer prog.Close()
	feed := graph.Feed{tokens: int32s(recorded(t, dir, "tokens")), targets: int32s(recorded(t, dir, "targets"))}
	first, err := prog.Step(context.Background(), adamw, feed)
	require.NoError(t, err)
	require.InDelta(t, recorded(t, dir, "loss_f64")[0], first.Loss, 1e-5)
	for range 9 {
		_, err = prog.Step(context.Background(), adamw, feed)
		require.NoError(t, err)
	}
	out := t.TempDir()
	require.NoError(t, hf.Save(out, ps, m.Config, hf.SaveOptions{}))
	back := load(t, out, tensor.Float32)
	require.Equal(t, values(t, ps), values(t, back.ps))
	last, err := prog.Eval(context.Background(), feed)
	require.NoError(t, err)
	require.Less(t, last.Loss, first.Loss/2)
}

// llama2.c's own file has Meta's row order and one tensor a kind for all
// layers: read by LoadMeta, it gives the weights of the Hugging Face file.
func TestStories260KMetaRows(t *testing.T) {
	dir := storiesDir(t)
	want := load(t, dir, tensor.Float32)
	c := want.model.Config
	raw, err := os.ReadFile(filepath.Join(dir, "stories260K.bin"))
	require.NoError(t, err)
	raw = raw[7*4:] // the header: sizes
	take := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		raw = raw[4*n:]
		return x
	}
	C, F, kv := c.Channels, c.Hidden, c.KVHeads*c.Channels/c.Heads
	tensors := []safetensors.Tensor{{Name: "tok_embeddings.weight", Dtype: safetensors.F32, Shape: []int{c.Vocab, C}, F32: take(c.Vocab * C)}}
	for _, k := range []struct {
		name  string
		shape []int
	}{
		{"attention_norm", []int{C}}, {"attention.wq", []int{C, C}}, {"attention.wk", []int{kv, C}}, {"attention.wv", []int{kv, C}},
		{"attention.wo", []int{C, C}}, {"ffn_norm", []int{C}}, {"feed_forward.w1", []int{F, C}}, {"feed_forward.w2", []int{C, F}},
		{"feed_forward.w3", []int{F, C}},
	} {
		n := 1
		for _, d := range k.shape {
			n *= d
		}
		for l := range c.Layers {
			name := "layers." + string(rune('0'+l)) + "." + k.name + ".weight"
			tensors = append(tensors, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: k.shape, F32: take(n)})
		}
	}
	tensors = append(tensors, safetensors.Tensor{Name: "norm.weight", Dtype: safetensors.F32, Shape: []int{C}, F32: take(C)})
	path := filepath.Join(t.TempDir(), "stories.safetensors")
	writeTensors(t, path, tensors)
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = gptblock.New(ps, c)
	require.NoError(t, err)
	require.NoError(t, hf.LoadMeta(ps, c, path))
	require.Equal(t, values(t, want.ps), values(t, ps))
}
