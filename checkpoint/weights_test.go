package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
)

func dirNames(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSaveLoadIsBitEqual(t *testing.T) {
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, opts := range [][]checkpoint.SaveOption{nil, {checkpoint.SaveShards(100)}} {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			ps := newTied(t, graph.WithDtype(dt), graph.WithSeed(1))
			require.NoError(t, checkpoint.Save(dir, ps, opts...))
			back := newTied(t, graph.WithDtype(dt), graph.WithSeed(2))
			require.NotEqual(t, values(t, ps), values(t, back))
			require.NoError(t, checkpoint.Load(back, dir, checkpoint.CheckFinite()))
			require.Equal(t, values(t, ps), values(t, back))

			w, err := checkpoint.Open(dir)
			require.NoError(t, err)
			require.Equal(t, []string{"h.0.b", "h.0.w", "wte"}, w.Names(), "a tied head is stored once")
			require.NoError(t, w.Close())
		}
	}
}

func TestSaveRoundsToTheTypeAskedFor(t *testing.T) {
	ps := newTied(t)
	for _, d := range []safetensors.Dtype{safetensors.F64, safetensors.F32, safetensors.BF16, safetensors.F16} {
		dir := t.TempDir()
		require.NoError(t, checkpoint.Save(dir, ps, checkpoint.SaveDtype(d)))
		w, err := checkpoint.Open(dir)
		require.NoError(t, err)
		defer w.Close()
		info, ok := w.Tensor("wte")
		require.True(t, ok)
		require.Equal(t, d, info.Dtype)

		// Loaded and saved again in the same type: the same bytes.
		back := newTied(t, graph.WithSeed(9))
		require.NoError(t, w.Load(back))
		again := t.TempDir()
		require.NoError(t, checkpoint.Save(again, back, checkpoint.SaveDtype(d)))
		a, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(again, "model.safetensors"))
		require.NoError(t, err)
		require.Equal(t, a, b)
	}
	require.ErrorContains(t, checkpoint.Save(t.TempDir(), ps, checkpoint.SaveDtype("I64")), `dtype = "I64"`)
	require.ErrorContains(t, checkpoint.Save(t.TempDir(), ps, checkpoint.SaveShards(0)), "shard size = 0")
}

// A folder that is saved to again holds the new weights alone: a reader would
// take a single file left behind before the new index.
func TestSaveRemovesWhatItReplaces(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600))
	ps := newTied(t)
	require.NoError(t, checkpoint.Save(dir, ps))
	require.Equal(t, []string{"config.json", "model.safetensors"}, dirNames(t, dir))
	require.NoError(t, checkpoint.Save(dir, ps, checkpoint.SaveShards(100)))
	require.Equal(t, []string{"config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
		"model-00003-of-00003.safetensors", "model.safetensors.index.json"}, dirNames(t, dir))
	require.NoError(t, checkpoint.Save(dir, ps, checkpoint.SaveShards(130)))
	require.Len(t, dirNames(t, dir), 4)
	require.NoError(t, checkpoint.Save(dir, ps))
	require.Equal(t, []string{"config.json", "model.safetensors"}, dirNames(t, dir))
}

func TestLoadNamesEveryDifference(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	ps := newTied(t)
	before := values(t, ps)
	writeFile(t, path, ramp("h.0.w", 6, 4), ramp("h.0.bias", 6), ramp("z", 1), ramp("wte", 7, 4))
	err := checkpoint.Load(ps, path)
	var me *checkpoint.MismatchError
	require.ErrorAs(t, err, &me)
	require.Equal(t, &checkpoint.MismatchError{
		Path: path, Missing: []string{"h.0.b"}, Extra: []string{"h.0.bias", "z"},
		Reshaped: []string{"h.0.w: [6 4], want [4 6]"},
	}, me)
	require.ErrorContains(t, err, "missing: h.0.b; extra: h.0.bias, z; reshaped: h.0.w: [6 4], want [4 6]")
	require.Equal(t, before, values(t, ps), "nothing was loaded")

	// What the caller knows to be no weight is no difference.
	writeFile(t, path, ramp("h.0.w", 4, 6), ramp("h.0.b", 6), ramp("z", 1), ramp("wte", 7, 4))
	require.ErrorAs(t, checkpoint.Load(ps, path), &me)
	require.NoError(t, checkpoint.Load(ps, path, checkpoint.IgnoreTensors(func(name string) bool { return name == "z" })))
	require.Equal(t, 2.5, values(t, ps)["h.0.b"][2])
}

func TestLoadRefusesIntegers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	header := `{"b":{"dtype":"I32","shape":[6],"data_offsets":[0,24]}}`
	buf := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
	require.NoError(t, os.WriteFile(path, append(buf, make([]byte, 24)...), 0o600))
	ps := newParams(t, []param{{"b", graph.Bias, tensor.Shape{6}}})
	require.ErrorContains(t, checkpoint.Load(ps, path), "of another type: b: I32, want F64, F32, F16 or BF16")
}

func TestLoadChecksFinite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	bad := ramp("h.0.b", 6)
	bad.F32[4] = nan
	writeFile(t, path, ramp("h.0.w", 4, 6), bad, ramp("wte", 7, 4))
	ps := newTied(t)
	before := values(t, ps)
	err := checkpoint.Load(ps, path, checkpoint.CheckFinite())
	require.ErrorIs(t, err, safetensors.ErrNotFinite)
	require.ErrorContains(t, err, `tensor "h.0.b" [4] = NaN`)
	require.Equal(t, before, values(t, ps), "nothing was loaded")
	require.NoError(t, checkpoint.Load(ps, path), "unless asked, a NaN is a number to look at")
}

func TestLoadTied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	rest := []safetensors.Tensor{ramp("h.0.w", 4, 6), ramp("h.0.b", 6)}
	ps := newTied(t)
	for name, tensors := range map[string][]safetensors.Tensor{
		"own name":   {ramp("wte", 7, 4)},
		"alias":      {ramp("lm_head", 7, 4)},
		"both equal": {ramp("wte", 7, 4), ramp("lm_head", 7, 4)},
	} {
		writeFile(t, path, append(tensors, rest...)...)
		require.NoError(t, checkpoint.Load(newTied(t), path), name)
		require.NoError(t, checkpoint.Load(ps, path), name)
		require.Equal(t, 27.5, values(t, ps)["wte"][27])
	}
	before := values(t, ps)
	head := ramp("lm_head", 7, 4)
	head.F32[27]++
	writeFile(t, path, append(rest, ramp("wte", 7, 4), head)...)
	err := checkpoint.Load(ps, path)
	require.ErrorContains(t, err, "not tied: lm_head differs from wte")
	writeFile(t, path, append(rest, ramp("wte", 7, 4), ramp("lm_head", 4, 4))...)
	require.ErrorContains(t, checkpoint.Load(ps, path), "not tied")
	require.Equal(t, before, values(t, ps))
}

// A parameter may be several tensors of the file, one after the other, under
// other names, and with its rows in another order.
func TestMapping(t *testing.T) {
	ps := newParams(t, []param{{"experts", graph.ExpertUp, tensor.Shape{2, 3, 2}}, {"w", graph.Weight, tensor.Shape{4, 2}}})
	mapping := func(reverse bool) checkpoint.Mapping {
		return func(p *graph.Param) []checkpoint.Part {
			if p.Name() == "experts" {
				return []checkpoint.Part{{Tensor: "e.0", Shape: []int{3, 2}}, {Tensor: "e.1", Shape: []int{3, 2}}}
			}
			part := checkpoint.Part{Tensor: "other", Shape: []int{4, 2}}
			if reverse {
				part.Row = func(i int) int { return 3 - i }
			}
			return []checkpoint.Part{part}
		}
	}
	dir := t.TempDir()
	require.NoError(t, checkpoint.Save(dir, ps, checkpoint.SaveMapping(mapping(false))))
	want := values(t, ps)
	w, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer w.Close()
	require.Equal(t, []string{"e.0", "e.1", "other"}, w.Names())
	back := newParams(t, []param{{"experts", graph.ExpertUp, tensor.Shape{2, 3, 2}}, {"w", graph.Weight, tensor.Shape{4, 2}}}, graph.WithSeed(3))
	require.NoError(t, w.Load(back, checkpoint.LoadMapping(mapping(true))))
	got := values(t, back)
	require.Equal(t, want["experts"], got["experts"])
	x := want["w"]
	require.Equal(t, []float64{x[6], x[7], x[4], x[5], x[2], x[3], x[0], x[1]}, got["w"])

	require.ErrorContains(t, checkpoint.Save(dir, ps, checkpoint.SaveMapping(mapping(true))), "reorders rows")
	short := func(p *graph.Param) []checkpoint.Part { return []checkpoint.Part{{Tensor: "x", Shape: []int{2}}} }
	require.ErrorContains(t, checkpoint.Save(dir, ps, checkpoint.SaveMapping(short)), "experts has 12 elements, its mapping has 2")
	require.ErrorContains(t, w.Load(ps, checkpoint.LoadMapping(short)), "its mapping has 2")
	same := func(p *graph.Param) []checkpoint.Part { return []checkpoint.Part{{Tensor: "other", Shape: p.Shape()}} }
	require.ErrorContains(t, checkpoint.Save(dir, ps, checkpoint.SaveMapping(same)), `"other" is mapped from two places`)
	require.ErrorContains(t, w.Load(ps, checkpoint.LoadMapping(same)), `"other" is mapped to two places`)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := checkpoint.Open(filepath.Join(dir, "no"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = checkpoint.Open(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "has neither model.safetensors nor model.safetensors.index.json")

	index := func(content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(content), 0o600))
	}
	writeFile(t, filepath.Join(dir, "a.safetensors"), ramp("x", 2), ramp("y", 2))
	writeFile(t, filepath.Join(dir, "b.safetensors"), ramp("y", 2))
	writeFile(t, filepath.Join(filepath.Dir(dir), "outside.safetensors"), ramp("x", 2))
	for content, want := range map[string]string{
		`{`: "model.safetensors.index.json",
		`{"weight_map":{"x":"../outside.safetensors"}}`:                                `tensor "x" is in "../outside.safetensors", want a file of the same folder`,
		`{"weight_map":{"x":"/etc/passwd"}}`:                                           `want a file of the same folder`,
		`{"weight_map":{"x":""}}`:                                                      `want a file of the same folder`,
		`{"weight_map":{"x":".."}}`:                                                    `want a file of the same folder`,
		`{"weight_map":{"x":"a.safetensors"}}`:                                         `tensor "y" of a.safetensors is not listed`,
		`{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}`:                     `tensor "y" is in two shards`,
		`{"weight_map":{"x":"a.safetensors","y":"a.safetensors","z":"a.safetensors"}}`: `tensor "z" is not in a.safetensors`,
	} {
		index(content)
		_, err := checkpoint.Open(dir)
		require.ErrorIs(t, err, safetensors.ErrFormat, content)
		require.ErrorContains(t, err, want)
	}
	index(`{"weight_map":{"x":"gone.safetensors"}}`)
	_, err = checkpoint.Open(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	index(`{"weight_map":{"x":"a.safetensors","y":"a.safetensors"}}`)
	w, err := checkpoint.Open(dir)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// The index is what transformers expects.
func TestIndexLayout(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, checkpoint.Save(dir, newTied(t), checkpoint.SaveShards(125)))
	buf, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json"))
	require.NoError(t, err)
	var ix map[string]any
	require.NoError(t, json.Unmarshal(buf, &ix))
	require.Equal(t, map[string]any{
		"metadata": map[string]any{"total_size": float64(4 * (7*4 + 4*6 + 6))},
		"weight_map": map[string]any{
			"h.0.b": "model-00001-of-00002.safetensors",
			"h.0.w": "model-00001-of-00002.safetensors",
			"wte":   "model-00002-of-00002.safetensors",
		},
	}, ix)
}

func TestDescribedParamsHaveNothingToSave(t *testing.T) {
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = ps.New("b", graph.Bias, tensor.Shape{3}, nil)
	require.NoError(t, err)
	require.ErrorContains(t, checkpoint.Save(t.TempDir(), ps), "parameter b has no value")
	path := filepath.Join(t.TempDir(), "w.safetensors")
	writeFile(t, path, ramp("b", 3))
	require.ErrorContains(t, checkpoint.Load(ps, path), "parameter b has no value")
}

// Loading and saving take a fixed amount of memory beyond the weights.
func TestMemory(t *testing.T) {
	const n = 4 << 20 // 16 MiB of float32
	ps, err := graph.NewParams(gorgonia.NewGraph())
	require.NoError(t, err)
	_, err = ps.New("w", graph.Weight, tensor.Shape{n / 1024, 1024}, nil)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, d := range []safetensors.Dtype{safetensors.F32, safetensors.BF16} {
		require.Less(t, allocated(func() { err = checkpoint.Save(dir, ps, checkpoint.SaveDtype(d)) }), uint64(3<<20))
		require.NoError(t, err)
		require.Less(t, allocated(func() { err = checkpoint.Load(ps, dir, checkpoint.CheckFinite()) }), uint64(3<<20))
		require.NoError(t, err)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzOpenIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"x":"a.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"x":"../../x"}}`))
	f.Add(bytes.Repeat([]byte("["), 20000))
	f.Fuzz(func(t *testing.T, index []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index, 0o600))
		writeFile(t, filepath.Join(dir, "a.safetensors"), ramp("x", 2))
		w, err := checkpoint.Open(dir)
		if err == nil {
			require.NoError(t, w.Close())
		}
	})
}
