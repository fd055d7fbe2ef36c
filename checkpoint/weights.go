package checkpoint

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint/safetensors"
)

const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// Weights is an open set of named tensors: one safetensors file, or the shards
// of one model.
type Weights struct {
	path    string
	files   []*safetensors.File
	tensors map[string]source
}

// source is where a tensor lies.
type source struct {
	file *safetensors.File
	info safetensors.Info
}

// Open opens a safetensors file, or a folder that holds model.safetensors or
// model.safetensors.index.json with its shards. All headers are checked; no
// numbers are read yet.
func Open(path string) (*Weights, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	if !info.IsDir() {
		return openFiles(path, path)
	}
	single := filepath.Join(path, weightsFile)
	if _, err := os.Stat(single); err == nil {
		return openFiles(path, single)
	}
	index := filepath.Join(path, indexFile)
	if _, err := os.Stat(index); err != nil {
		return nil, errors.Wrapf(os.ErrNotExist, "checkpoint: %s has neither %s nor %s", path, weightsFile, indexFile)
	}
	return openShards(path, index)
}

func openFiles(path string, files ...string) (*Weights, error) {
	w := &Weights{path: path, tensors: map[string]source{}}
	for _, name := range files {
		f, err := safetensors.Open(name)
		if err != nil {
			w.Close()
			return nil, errors.WithMessage(err, "checkpoint")
		}
		w.files = append(w.files, f)
		for _, t := range f.Tensors() {
			if _, twice := w.tensors[t.Name]; twice {
				w.Close()
				return nil, errors.Wrapf(safetensors.ErrFormat, "checkpoint: %s: tensor %q is in two shards", name, t.Name)
			}
			w.tensors[t.Name] = source{f, t}
		}
	}
	return w, nil
}

// shardIndex is the content of model.safetensors.index.json.
type shardIndex struct {
	Metadata struct {
		TotalSize int64 `json:"total_size"` // bytes of all tensors
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"` // tensor to file
}

func openShards(dir, index string) (*Weights, error) {
	buf, err := os.ReadFile(index)
	if err != nil {
		return nil, errors.Wrap(err, "checkpoint")
	}
	var ix shardIndex
	if err := json.Unmarshal(buf, &ix); err != nil {
		return nil, errors.Wrapf(safetensors.ErrFormat, "checkpoint: %s: %v", index, err)
	}
	names := map[string]bool{}
	for tensor, name := range ix.WeightMap {
		// A name from the file must not lead out of the folder.
		if name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, errors.Wrapf(safetensors.ErrFormat, "checkpoint: %s: tensor %q is in %q, want a file of the same folder", index, tensor, name)
		}
		names[filepath.Join(dir, name)] = true
	}
	w, err := openFiles(dir, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		return nil, err
	}
	if err := w.checkIndex(dir, ix.WeightMap); err != nil {
		w.Close()
		return nil, errors.Wrapf(safetensors.ErrFormat, "checkpoint: %s: %v", index, err)
	}
	return w, nil
}

// checkIndex compares the index with what the shards hold.
func (w *Weights) checkIndex(dir string, weightMap map[string]string) error {
	for _, tensor := range slices.Sorted(maps.Keys(weightMap)) {
		s, ok := w.tensors[tensor]
		if !ok || s.file.Name() != filepath.Join(dir, weightMap[tensor]) {
			return errors.Errorf("tensor %q is not in %s", tensor, weightMap[tensor])
		}
	}
	for _, tensor := range w.Names() {
		if _, ok := weightMap[tensor]; !ok {
			return errors.Errorf("tensor %q of %s is not listed", tensor, filepath.Base(w.tensors[tensor].file.Name()))
		}
	}
	return nil
}

// Names lists the tensors, sorted.
func (w *Weights) Names() []string { return slices.Sorted(maps.Keys(w.tensors)) }

// Tensor describes a tensor.
func (w *Weights) Tensor(name string) (safetensors.Info, bool) {
	s, ok := w.tensors[name]
	return s.info, ok
}

// Close closes the files.
func (w *Weights) Close() error {
	var first error
	for _, f := range w.files {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
