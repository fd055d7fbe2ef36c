package checkpoint

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/atomicfile"
)

type saveOptions struct {
	mapping Mapping
	dtype   safetensors.Dtype // "": each parameter's own
	shard   int64             // bytes a shard; 0: one file
}

// SaveOption changes a default of [Save].
type SaveOption func(*saveOptions) error

// SaveMapping says which tensors each parameter becomes; the default is one of
// the parameter's name and shape.
func SaveMapping(m Mapping) SaveOption {
	return func(o *saveOptions) error { o.mapping = m; return nil }
}

// SaveDtype rounds the weights to d: F64, F32, F16 or BF16. The default is the
// parameters' own type, which loses nothing.
func SaveDtype(d safetensors.Dtype) SaveOption {
	return func(o *saveOptions) error {
		if !d.IsFloat() {
			return errors.Errorf("checkpoint: dtype = %q, want F64, F32, F16 or BF16", d)
		}
		o.dtype = d
		return nil
	}
}

// SaveShards cuts the weights into files of at most n bytes of tensors (a larger
// tensor has a file of its own) with an index. The default is one file.
func SaveShards(n int64) SaveOption {
	return func(o *saveOptions) error {
		if n < 1 {
			return errors.Errorf("checkpoint: shard size = %d bytes, want at least 1", n)
		}
		o.shard = n
		return nil
	}
}

// Save writes the parameters' values to the folder dir, which it makes if need
// be: model.safetensors, or with [SaveShards] model-00001-of-0000N.safetensors
// and so on with model.safetensors.index.json. A tied parameter is written once,
// under its own name. Each file appears whole or not at all; weight files of an
// earlier Save in the same folder are removed last.
func Save(dir string, ps *graph.Params, opts ...SaveOption) error {
	var o saveOptions
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return err
		}
	}
	tensors, err := o.tensors(ps)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.Wrap(err, "checkpoint")
	}
	shards := cut(tensors, o.shard)
	written := map[string]bool{}
	ix := shardIndex{WeightMap: map[string]string{}}
	for i, shard := range shards {
		name := weightsFile
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		if err := writeAtomically(filepath.Join(dir, name), shard); err != nil {
			return err
		}
		written[name] = true
		for _, t := range shard {
			ix.WeightMap[t.Name] = name
			ix.Metadata.TotalSize += t.Bytes()
		}
	}
	if len(shards) > 1 {
		buf, err := json.MarshalIndent(ix, "", "  ")
		if err == nil {
			err = atomicfile.Write(filepath.Join(dir, indexFile), append(buf, '\n'))
		}
		if err != nil {
			return errors.Wrap(err, "checkpoint")
		}
		written[indexFile] = true
	}
	return removeStale(dir, written)
}

// tensors lists what a file of ps holds.
func (o saveOptions) tensors(ps *graph.Params) ([]safetensors.Tensor, error) {
	byName := map[string]safetensors.Tensor{}
	for _, p := range ps.All() {
		parts, err := o.mapping.parts(p)
		if err != nil {
			return nil, err
		}
		f32, f64, err := graph.Floats(p.Value())
		if err != nil {
			return nil, errors.WithMessagef(err, "checkpoint: parameter %s", p.Name())
		}
		dtype := o.dtype
		if dtype == "" {
			dtype = ownDtype(p)
		}
		for _, part := range parts {
			if part.Row != nil {
				return nil, errors.Errorf("checkpoint: parameter %s: a mapping that reorders rows cannot be saved with", p.Name())
			}
			if _, twice := byName[part.Tensor]; twice {
				return nil, errors.Errorf("checkpoint: tensor %q is mapped from two places, the second in %s", part.Tensor, p.Name())
			}
			t := safetensors.Tensor{Name: part.Tensor, Dtype: dtype, Shape: part.Shape}
			if f32 != nil {
				t.F32 = f32[part.at : part.at+part.Len()]
			} else {
				t.F64 = f64[part.at : part.at+part.Len()]
			}
			byName[t.Name] = t
		}
	}
	out := make([]safetensors.Tensor, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out, nil
}

// cut makes groups of at most limit bytes, in order.
func cut(tensors []safetensors.Tensor, limit int64) (shards [][]safetensors.Tensor) {
	var size int64
	for _, t := range tensors {
		if len(shards) == 0 || limit > 0 && size+t.Bytes() > limit {
			shards = append(shards, nil)
			size = 0
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], t)
		size += t.Bytes()
	}
	return shards
}

// metadata is what transformers looks for before it reads a file.
var metadata = map[string]string{"format": "pt"}

func writeAtomically(path string, tensors []safetensors.Tensor) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return errors.Wrap(err, "checkpoint")
	}
	defer f.Abort()
	if err := writeTensors(f, tensors); err != nil {
		return errors.WithMessagef(err, "checkpoint: %s", path)
	}
	return errors.Wrap(f.Commit(), "checkpoint")
}

func writeTensors(w io.Writer, tensors []safetensors.Tensor) error {
	b := bufio.NewWriterSize(w, 1<<20) // many tensors are small
	if err := safetensors.Write(b, tensors, metadata); err != nil {
		return err
	}
	return b.Flush()
}

var savedName = regexp.MustCompile(`^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$`)

// removeStale removes the weight files of dir that are not among keep: readers
// would take a stale single file before a new index.
func removeStale(dir string, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return errors.Wrap(err, "checkpoint")
	}
	for _, e := range entries {
		if savedName.MatchString(e.Name()) && !keep[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return errors.Wrap(err, "checkpoint")
			}
		}
	}
	return nil
}
