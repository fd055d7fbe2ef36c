package checkpoint_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/solvers"
)

func newStore(t testing.TB, dir string, keep int) *checkpoint.Store {
	t.Helper()
	s, err := checkpoint.NewStore(dir, keep)
	require.NoError(t, err)
	return s
}

// For every k: k steps, save, restore into a run that was registered in
// another order and started elsewhere, go on: the bits of a run that was not
// interrupted.
func TestResumeIsBitExact(t *testing.T) {
	const steps = 20
	reversed := slices.Clone(model)
	slices.Reverse(reversed)
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		whole := newRun(t, model, dt, 1)
		whole.train(t, steps)
		want, wantState := values(t, whole.ps), whole.adamw.State()

		first := newRun(t, model, dt, 1)
		store := newStore(t, t.TempDir(), steps+1)
		for k := range steps + 1 {
			require.Equal(t, k, first.prog.Steps())
			_, err := store.Save(first.snapshot())
			require.NoError(t, err)
			saved, damaged, err := store.Latest()
			require.NoError(t, err)
			require.Empty(t, damaged)
			require.Equal(t, k, saved.Step())

			second := newRun(t, reversed, dt, 2)
			require.NoError(t, saved.Restore(second.ps, second.adamw))
			require.NoError(t, second.prog.SetSteps(saved.Step()))
			second.train(t, steps-k)
			require.Equal(t, want, values(t, second.ps), "stopped at %d", k)
			require.Equal(t, wantState, second.adamw.State(), "stopped at %d", k)
			if k < steps {
				first.train(t, 1)
			}
		}
	}
}

func TestSnapshotKeepsEverythingElse(t *testing.T) {
	r := newRun(t, model, tensor.Float32, 1)
	r.train(t, 2)
	snap := r.snapshot()
	ema := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{1, 2, 3, 1e-300}))
	snap.Tensors = map[string]map[string]gorgonia.Value{"ema": {"w": ema}}
	snap.Files = map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`)}
	store := newStore(t, t.TempDir(), 1)
	dir, err := store.Save(snap)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(store.Dir(), "step-00000002"), dir)
	require.Equal(t, []string{"SHA256SUMS", "config.json", "ema.safetensors", "model.safetensors", "solver.safetensors", "state.json"}, dirNames(t, dir))

	v, err := checkpoint.OpenSaved(dir)
	require.NoError(t, err)
	require.Equal(t, dir, v.Dir())
	require.Equal(t, "sha256:1", v.Corpus())
	var cfg runConfig
	require.NoError(t, v.Config(&cfg))
	require.Equal(t, newRunConfig(), &cfg)
	var state map[string]int
	require.NoError(t, v.State(&state))
	require.Equal(t, map[string]int{"evals": 3}, state)
	require.ErrorContains(t, v.State(&struct{ Other int }{}), `unknown field "evals"`)
	set, err := v.Tensors("ema")
	require.NoError(t, err)
	require.Equal(t, ema.Data(), set["w"].Data())
	buf, err := v.File("config.json")
	require.NoError(t, err)
	require.JSONEq(t, `{"model_type":"gpt2"}`, string(buf))
	_, err = v.File("../latest")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = v.Tensors("other")
	require.ErrorIs(t, err, os.ErrNotExist)

	// The folder is also a model.
	require.NoError(t, checkpoint.Load(newTied(t), dir))
}

func TestKeepsTheLastK(t *testing.T) {
	store := newStore(t, t.TempDir(), 2)
	r := newRun(t, model, tensor.Float32, 1)
	save := func(step int) {
		t.Helper()
		snap := r.snapshot()
		snap.Step = step
		_, err := store.Save(snap)
		require.NoError(t, err)
	}
	names := func() []string { return dirNames(t, store.Dir()) }
	for _, step := range []int{0, 5, 100} {
		save(step)
	}
	require.Equal(t, []string{"latest", "step-00000005", "step-00000100"}, names())
	save(100) // again, after a resume
	require.Equal(t, []string{"latest", "step-00000005", "step-00000100.2"}, names())
	save(100)
	require.Equal(t, []string{"latest", "step-00000005", "step-00000100.3"}, names())

	// A run that goes back to step 5 and on: what lies ahead stays until it is
	// passed, but is not the latest.
	save(6)
	require.Equal(t, []string{"latest", "step-00000005", "step-00000006", "step-00000100.3"}, names())
	v, _, err := store.Latest()
	require.NoError(t, err)
	require.Equal(t, 6, v.Step())
	save(123456789)
	require.Equal(t, []string{"latest", "step-00000100.3", "step-123456789"}, names())
}

func TestKeepsTheBest(t *testing.T) {
	store := newStore(t, t.TempDir(), 1)
	_, err := checkpoint.Best(store.Dir())
	require.ErrorIs(t, err, checkpoint.ErrNone)
	r := newRun(t, model, tensor.Float32, 1)
	save := func(step int, best bool) {
		t.Helper()
		snap := r.snapshot()
		snap.Step, snap.Best = step, best
		_, err := store.Save(snap)
		require.NoError(t, err)
	}
	for step := range 7 {
		save(step, step == 1 || step == 3)
	}
	require.Equal(t, []string{"best", "latest", "step-00000003", "step-00000006"}, dirNames(t, store.Dir()))
	v, err := checkpoint.Best(store.Dir())
	require.NoError(t, err)
	require.Equal(t, 3, v.Step())

	save(3, true) // again, after a resume
	v, err = checkpoint.Best(store.Dir())
	require.NoError(t, err)
	require.Equal(t, "step-00000003.2", filepath.Base(v.Dir()))
	require.NoError(t, os.Truncate(filepath.Join(v.Dir(), "state.json"), 5))
	_, err = checkpoint.Best(store.Dir())
	require.ErrorIs(t, err, checkpoint.ErrCorrupt)
}

func TestStoreRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := checkpoint.NewStore(dir, 0)
	require.ErrorContains(t, err, "keep = 0")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = checkpoint.NewStore(filepath.Join(file, "x"), 1)
	require.Error(t, err)
	store := newStore(t, filepath.Join(dir, "s"), 1)
	_, _, err = store.Latest()
	require.ErrorIs(t, err, checkpoint.ErrNone)

	r := newRun(t, model, tensor.Float32, 1)
	for want, change := range map[string]func(*checkpoint.Snapshot){
		"step -1":               func(s *checkpoint.Snapshot) { s.Step = -1 },
		"want a step":           func(s *checkpoint.Snapshot) { s.Params = nil },
		"config":                func(s *checkpoint.Snapshot) { s.Config = func() {} },
		"checkpoint: state":     func(s *checkpoint.Snapshot) { s.State = func() {} },
		`file "../x"`:           func(s *checkpoint.Snapshot) { s.Files = map[string][]byte{"../x": nil} },
		`file ""`:               func(s *checkpoint.Snapshot) { s.Files = map[string][]byte{"": nil} },
		`file "state.json"`:     func(s *checkpoint.Snapshot) { s.Files = map[string][]byte{"state.json": nil} },
		`file "SHA256SUMS"`:     func(s *checkpoint.Snapshot) { s.Files = map[string][]byte{"SHA256SUMS": nil} },
		`"solver.safetensors" `: func(s *checkpoint.Snapshot) { s.Tensors = map[string]map[string]gorgonia.Value{"solver": {}} },
		"ids of ema": func(s *checkpoint.Snapshot) {
			s.Tensors = map[string]map[string]gorgonia.Value{"ema": {"ids": tensor.New(tensor.WithBacking([]int{1}))}}
		},
	} {
		snap := r.snapshot()
		change(&snap)
		_, err := store.Save(snap)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, dirNames(t, store.Dir()), "nothing was left behind")
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	store := newStore(t, t.TempDir(), 1)
	r := newRun(t, model, tensor.Float32, 1)
	r.train(t, 3)
	_, err := store.Save(r.snapshot())
	require.NoError(t, err)
	v, _, err := store.Latest()
	require.NoError(t, err)

	check := func(list []param, dt tensor.Dtype, want ...string) {
		t.Helper()
		other := newRun(t, list, dt, 2)
		before := values(t, other.ps)
		err := v.Restore(other.ps, other.adamw)
		var me *checkpoint.MismatchError
		require.ErrorAs(t, err, &me)
		for _, w := range want {
			require.ErrorContains(t, err, w)
		}
		require.Equal(t, before, values(t, other.ps))
		require.Zero(t, other.adamw.State().Step)
	}
	renamed := slices.Clone(model)
	renamed[2].name = "h.0.bias"
	check(renamed, tensor.Float32, "missing: h.0.bias", "extra: h.0.b")
	check([]param{model[0], model[2]}, tensor.Float32, "extra: h.0.w")
	reshaped := slices.Clone(model)
	reshaped[0].shape = tensor.Shape{8, 4}
	check(reshaped, tensor.Float32, "wte: [7 4], want [8 4]")
	check(model, tensor.Float64, "wte: F32, want F64")

	// A solver of another kind.
	before := values(t, r.ps)
	require.ErrorContains(t, v.Restore(r.ps, restorer{}), "refused")
	require.Equal(t, before, values(t, r.ps))

	// Weights alone.
	other := newRun(t, model, tensor.Float32, 2)
	require.NoError(t, v.Restore(other.ps, nil))
	require.Equal(t, before, values(t, other.ps))
	snap := r.snapshot()
	snap.Solver = solvers.State{}
	_, err = store.Save(snap)
	require.NoError(t, err)
	v, _, err = store.Latest()
	require.NoError(t, err)
	require.NoError(t, v.Restore(other.ps, nil))
	require.ErrorContains(t, v.Restore(other.ps, other.adamw), "has no state of a solver")
}

type restorer struct{}

func (restorer) Restore(solvers.State) error { return errors.New("refused") }

// Any one bit of any file of a checkpoint changed, or any file cut short or
// gone: it is noticed, and the one before is taken.
func TestDamageIsNoticed(t *testing.T) {
	r := newRun(t, model[1:], tensor.Float32, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	base := t.TempDir()
	store := newStore(t, base, 2)
	_, err := store.Save(r.snapshot())
	require.NoError(t, err)
	want := values(t, r.ps)
	r.train(t, 1)
	last, err := store.Save(r.snapshot())
	require.NoError(t, err)

	expectPrevious := func(what string) {
		t.Helper()
		v, damaged, err := store.Latest()
		require.NoError(t, err, what)
		require.Equal(t, 0, v.Step(), what)
		require.Len(t, damaged, 1, what)
		require.ErrorIs(t, damaged[0], checkpoint.ErrCorrupt, what)
		require.ErrorContains(t, damaged[0], last, what)
		back := newRun(t, model[1:], tensor.Float32, 9)
		require.NoError(t, v.Restore(back.ps, back.adamw))
		require.Equal(t, want, values(t, back.ps))
	}
	for _, name := range dirNames(t, last) {
		path := filepath.Join(last, name)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for range 25 {
			bad := slices.Clone(whole)
			bit := rng.IntN(8 * len(bad))
			bad[bit/8] ^= 1 << (bit % 8)
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			expectPrevious(fmt.Sprintf("bit %d of %s", bit, name))
		}
		for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 2} {
			require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
			expectPrevious(fmt.Sprintf("%s cut to %d", name, n))
		}
		require.NoError(t, os.Remove(path))
		expectPrevious(name + " gone")
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	v, damaged, err := store.Latest()
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.Equal(t, 1, v.Step())

	// The file "latest" is a hint, not the truth.
	pointer := filepath.Join(base, "latest")
	for content, step := range map[string]int{"": 1, "rubbish": 1, "step-00000000\n": 0, "../../etc": 1, "step-00000077": 1} {
		require.NoError(t, os.WriteFile(pointer, []byte(content), 0o600))
		v, _, err := store.Latest()
		require.NoError(t, err, content)
		require.Equal(t, step, v.Step(), content)
	}
	require.NoError(t, os.Remove(pointer))
	v, _, err = store.Latest()
	require.NoError(t, err)
	require.Equal(t, 1, v.Step())

	// Nothing whole is left.
	for _, name := range []string{"step-00000000", "step-00000001"} {
		require.NoError(t, os.Truncate(filepath.Join(base, name, "state.json"), 5))
	}
	_, damaged, err = store.Latest()
	require.ErrorIs(t, err, checkpoint.ErrNone)
	require.Len(t, damaged, 2)
}

// A checkpoint of a later format says so.
func TestUnknownFormat(t *testing.T) {
	r := newRun(t, model, tensor.Float32, 1)
	dir, err := newStore(t, t.TempDir(), 1).Save(r.snapshot())
	require.NoError(t, err)
	for content, want := range map[string]string{`{"format":2}`: "format = 2, want 1", `[]`: "damaged"} {
		rewrite(t, dir, "state.json", []byte(content))
		_, err = checkpoint.OpenSaved(dir)
		require.ErrorContains(t, err, want)
	}
}

func TestStaleTemporariesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".tmp-123", "x"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".latest.tmp-123"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".best.tmp-123"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	newStore(t, dir, 1)
	require.Equal(t, []string{"notes.txt"}, dirNames(t, dir))
}

func TestValuesThatAreNoTensorAreRefused(t *testing.T) {
	g := gorgonia.NewGraph()
	ps, err := graph.NewParams(g)
	require.NoError(t, err)
	n := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(3), gorgonia.WithName("b"))
	_, err = ps.Adopt(n, graph.Bias)
	require.NoError(t, err)
	_, err = newStore(t, t.TempDir(), 1).Save(checkpoint.Snapshot{Params: ps})
	require.ErrorContains(t, err, "parameter b has no value")
}
