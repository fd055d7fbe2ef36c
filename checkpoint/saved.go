package checkpoint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/solvers"
)

// Saved is a checkpoint on disk whose files are whole.
type Saved struct {
	dir   string
	files map[string]bool
	state stateJSON
}

// OpenSaved verifies every file of the checkpoint in the folder dir. It fails
// with ErrCorrupt and the name of the file.
func OpenSaved(dir string) (*Saved, error) {
	files, err := verify(dir)
	if err != nil {
		return nil, err
	}
	v := &Saved{dir: dir, files: files}
	buf, err := v.File(stateFile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(buf, &v.state); err != nil {
		return nil, errors.Wrapf(ErrCorrupt, "checkpoint: %s: %v", filepath.Join(dir, stateFile), err)
	}
	if v.state.Format != stateVsn {
		return nil, errors.Errorf("checkpoint: %s: format = %d, want %d", filepath.Join(dir, stateFile), v.state.Format, stateVsn)
	}
	return v, nil
}

// Dir is the checkpoint's folder.
func (v *Saved) Dir() string { return v.dir }

// Step is the number of optimizer steps done.
func (v *Saved) Step() int { return v.state.Step }

// Corpus is the fingerprint of the training data.
func (v *Saved) Corpus() string { return v.state.Corpus }

// Config decodes the run's configuration into the struct that to points to.
func (v *Saved) Config(to any) error { return v.decode("config", v.state.Config, to) }

// State decodes what the loop remembered into the struct that to points to.
func (v *Saved) State(to any) error { return v.decode("state", v.state.State, to) }

func (v *Saved) decode(what string, raw json.RawMessage, to any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields() // nothing that was saved may be lost unseen
	return errors.Wrapf(dec.Decode(to), "checkpoint: %s: %s", v.dir, what)
}

// File is the content of a further file ([Snapshot.Files]).
func (v *Saved) File(name string) ([]byte, error) {
	if !v.files[name] {
		return nil, errors.Wrapf(os.ErrNotExist, "checkpoint: %s has no file %q", v.dir, name)
	}
	buf, err := os.ReadFile(filepath.Join(v.dir, name))
	return buf, errors.Wrap(err, "checkpoint")
}

// Restorer is a solver that can take up its state: those of package solvers.
type Restorer interface{ Restore(solvers.State) error }

// Restore puts weights and solver state back, bit for bit: the types must be
// those that were saved. Everything is compared with ps and the solver first; a
// *[MismatchError] or *solvers.StateError lists what does not fit, and then
// nothing has changed. A nil solver restores the weights alone.
func (v *Saved) Restore(ps *graph.Params, solver Restorer) error {
	w, err := Open(filepath.Join(v.dir, weightsFile))
	if err != nil {
		return err
	}
	defer w.Close()
	exact := func(o *loadOptions) { o.exact = true }
	if _, err := w.plan(ps, loadOptions{exact: true}); err != nil {
		return err
	}
	if solver != nil {
		st, err := v.solverState()
		if err != nil {
			return err
		}
		if err := solver.Restore(st); err != nil {
			return err
		}
	}
	return w.Load(ps, exact)
}

// solverState reads the solver's state as it was saved.
func (v *Saved) solverState() (solvers.State, error) {
	j := v.state.Solver
	if j == nil {
		return solvers.State{}, errors.Errorf("checkpoint: %s has no state of a solver", v.dir)
	}
	set, err := v.Tensors(solverSet)
	if err != nil {
		return solvers.State{}, err
	}
	st := solvers.State{Solver: j.Kind, Step: j.Step, Params: map[string]solvers.ParamState{}}
	for name, step := range j.Steps {
		st.Params[name] = solvers.ParamState{Step: step, Tensors: map[string]*tensor.Dense{}}
	}
	for name, t := range set {
		cut := strings.LastIndexByte(name, '/')
		p, ok := st.Params[name[:max(cut, 0)]]
		if !ok {
			return solvers.State{}, errors.Wrapf(ErrCorrupt, "checkpoint: %s: solver state %q belongs to no parameter", v.dir, name)
		}
		p.Tensors[name[cut+1:]] = t.(*tensor.Dense)
	}
	return st, nil
}

// Tensors reads a further set of tensors ([Snapshot.Tensors]) in the types that
// were saved.
func (v *Saved) Tensors(set string) (map[string]gorgonia.Value, error) {
	if !v.files[set+tensorsExt] {
		return nil, errors.Wrapf(os.ErrNotExist, "checkpoint: %s has no tensors %q", v.dir, set)
	}
	f, err := safetensors.Open(filepath.Join(v.dir, set+tensorsExt))
	if err != nil {
		return nil, errors.WithMessage(err, "checkpoint")
	}
	defer f.Close()
	out := map[string]gorgonia.Value{}
	for _, info := range f.Tensors() {
		dt := tensor.Float32
		if info.Dtype == safetensors.F64 {
			dt = tensor.Float64
		}
		t := tensor.New(tensor.Of(dt), tensor.WithShape(info.Shape...))
		f32, f64, err := graph.Floats(t)
		if err == nil && f32 != nil {
			err = safetensors.Read(f, info.Name, 0, f32)
		} else if err == nil {
			err = safetensors.Read(f, info.Name, 0, f64)
		}
		if err != nil {
			return nil, errors.WithMessage(err, "checkpoint")
		}
		out[info.Name] = t
	}
	return out, nil
}
