package checkpoint

import (
	"encoding/json"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/solvers"
)

// Snapshot is all that a training run needs to go on with the same bits.
type Snapshot struct {
	Step   int           // optimizer steps done: the next batch is that of this step
	Params *graph.Params // the weights
	// Solver is the optimizer's state; its StateView is enough, since Save
	// only reads. The zero value is a run whose solver has no state.
	Solver solvers.State
	// Tensors are further sets of tensors by parameter name, such as "ema" for
	// averaged weights. Each set is a file of its own: set.safetensors.
	Tensors map[string]map[string]gorgonia.Value
	// Config is the run's configuration: what [Saved.Reconcile] compares. State
	// is what the loop remembers. Both must marshal to JSON.
	Config, State any
	// Best makes this the checkpoint that [Best] opens, which stays until there
	// is a better one.
	Best bool
	// Corpus is a fingerprint of the training data (dataset.Fingerprint).
	Corpus string
	// Files are further files by name, such as config.json and tokenizer.json,
	// with which the folder is a model that other programs load.
	Files map[string][]byte
}

const (
	solverSet  = "solver"
	stateFile  = "state.json"
	stateVsn   = 1
	tensorsExt = ".safetensors"
)

// stateJSON is the content of state.json.
type stateJSON struct {
	Format int             `json:"format"`
	Step   int             `json:"step"`
	Solver *solverJSON     `json:"solver,omitempty"`
	Corpus string          `json:"corpus,omitempty"`
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

type solverJSON struct {
	Kind  string         `json:"kind"`
	Step  int            `json:"step"`
	Steps map[string]int `json:"param_steps"` // updates of each parameter
}

// content is one file of a snapshot.
type content struct {
	name  string
	write func(io.Writer) error
}

// contents lists the files of a snapshot, in the order in which they are
// written, and refuses what could not be read back.
func (s Snapshot) contents() ([]content, error) {
	if s.Params == nil || s.Step < 0 {
		return nil, errors.Errorf("checkpoint: a snapshot of step %d with parameters %v, want a step >= 0 and parameters", s.Step, s.Params != nil)
	}
	weights, err := saveOptions{}.tensors(s.Params)
	if err != nil {
		return nil, err
	}
	out := []content{tensorFile(weightsFile, weights)}
	j := stateJSON{Format: stateVsn, Step: s.Step, Corpus: s.Corpus}
	if s.Solver.Solver != "" {
		j.Solver = &solverJSON{Kind: s.Solver.Solver, Step: s.Solver.Step, Steps: map[string]int{}}
		set := map[string]gorgonia.Value{}
		for name, p := range s.Solver.Params {
			j.Solver.Steps[name] = p.Step
			for moment, t := range p.Tensors {
				set[name+"/"+moment] = t
			}
		}
		f, err := setFile(solverSet, set)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tensors)) {
		f, err := setFile(name, s.Tensors[name])
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if j.Config, err = json.Marshal(s.Config); err != nil {
		return nil, errors.Wrap(err, "checkpoint: config")
	}
	if j.State, err = json.Marshal(s.State); err != nil {
		return nil, errors.Wrap(err, "checkpoint: state")
	}
	buf, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	out = append(out, bytesFile(stateFile, append(buf, '\n')))
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		out = append(out, bytesFile(name, s.Files[name]))
	}
	return out, checkNames(out)
}

func bytesFile(name string, data []byte) content {
	return content{name, func(w io.Writer) error { _, err := w.Write(data); return err }}
}

func tensorFile(name string, tensors []safetensors.Tensor) content {
	return content{name, func(w io.Writer) error { return writeTensors(w, tensors) }}
}

// setFile is a set of values, each in its own type: bits are kept.
func setFile(set string, values map[string]gorgonia.Value) (content, error) {
	var tensors []safetensors.Tensor
	for name, v := range values {
		f32, f64, err := graph.Floats(v)
		if err != nil {
			return content{}, errors.WithMessagef(err, "checkpoint: %s of %s", name, set)
		}
		t := safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: v.Shape(), F32: f32, F64: f64}
		if f64 != nil {
			t.Dtype = safetensors.F64
		}
		tensors = append(tensors, t)
	}
	return tensorFile(set+tensorsExt, tensors), nil
}

func checkNames(files []content) error {
	seen := map[string]bool{sumsFile: true}
	for _, f := range files {
		if f.name == "" || f.name != filepath.Base(f.name) || f.name[0] == '.' || seen[f.name] {
			return errors.Errorf("checkpoint: file %q cannot be part of a snapshot, want a plain name that is not taken", f.name)
		}
		seen[f.name] = true
	}
	return nil
}
