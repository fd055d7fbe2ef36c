package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
)

// Part is a tensor of a file that makes a parameter, or a run of its elements.
type Part struct {
	Tensor string // its name in the file
	Shape  []int  // its shape in the file
	// Row, if not nil, says which row of the part each row of the tensor is
	// (a row is one index of the first dimension). Only Load knows it.
	Row func(i int) int

	at int // the element of the parameter that is its first
}

// Len is the number of elements.
func (p Part) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Mapping says which tensors of a file, one after the other, make a parameter.
// A nil Mapping, and a nil result, mean one tensor of the parameter's own name
// and shape.
type Mapping func(p *graph.Param) []Part

func (m Mapping) parts(p *graph.Param) ([]Part, error) {
	if p.Value() == nil {
		return nil, errors.Errorf("checkpoint: parameter %s has no value", p.Name())
	}
	var parts []Part
	if m != nil {
		parts = m(p)
	}
	if parts == nil {
		parts = []Part{{Tensor: p.Name(), Shape: p.Shape()}}
	}
	at := 0
	for i := range parts {
		parts[i].at = at
		at += parts[i].Len()
	}
	if at != p.Size() {
		return nil, errors.Errorf("checkpoint: parameter %s has %d elements, its mapping has %d", p.Name(), p.Size(), at)
	}
	return parts, nil
}

// MismatchError lists how the tensors of a file do not fit the parameters. Each
// list is sorted.
type MismatchError struct {
	Path     string
	Missing  []string // the model has these, the file does not
	Extra    []string // the file has these, the model does not
	Reshaped []string // "name: [2 3], want [3 2]"
	Dtypes   []string // "name: I64, want F64, F32, F16 or BF16"
	Untied   []string // "alias differs from name, which the model ties"
}

// Error lists the names.
func (e *MismatchError) Error() string {
	var parts []string
	for _, l := range e.lists() {
		if len(*l.names) > 0 {
			parts = append(parts, l.label+": "+strings.Join(*l.names, ", "))
		}
	}
	return fmt.Sprintf("checkpoint: %s does not fit the model: %s", e.Path, strings.Join(parts, "; "))
}

type labelled struct {
	label string
	names *[]string
}

func (e *MismatchError) lists() []labelled {
	return []labelled{{"missing", &e.Missing}, {"extra", &e.Extra}, {"reshaped", &e.Reshaped}, {"of another type", &e.Dtypes}, {"not tied", &e.Untied}}
}

// orNil sorts the lists; it gives nil if all are empty.
func (e *MismatchError) orNil() error {
	found := false
	for _, l := range e.lists() {
		slices.Sort(*l.names)
		found = found || len(*l.names) > 0
	}
	if !found {
		return nil
	}
	return e
}

// job is one tensor to be read into a parameter.
type job struct {
	src    source
	part   Part
	p      *graph.Param
	copies []source // under aliases of p: they must be equal
}

// plan compares the headers with the parameters. Nothing has been read when it
// fails, with a *MismatchError.
func (w *Weights) plan(ps *graph.Params, o loadOptions) ([]job, error) {
	e := &MismatchError{Path: w.path}
	var jobs []job
	used := map[string]bool{}
	for _, p := range ps.All() {
		parts, err := o.mapping.parts(p)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			src, ok := w.tensors[part.Tensor]
			for i := 0; !ok && len(parts) == 1 && i < len(p.Aliases()); i++ {
				src, ok = w.tensors[p.Aliases()[i]] // a file that has only the alias is as good
			}
			if !ok {
				e.Missing = append(e.Missing, part.Tensor)
				continue
			}
			if used[src.info.Name] {
				return nil, errors.Errorf("checkpoint: tensor %q is mapped to two places, the second in %s", src.info.Name, p.Name())
			}
			used[src.info.Name] = true
			j := job{src: src, part: part, p: p}
			for _, alias := range p.Aliases() {
				if t, ok := w.tensors[alias]; ok && alias != src.info.Name {
					j.copies = append(j.copies, t)
					used[alias] = true
				}
			}
			jobs = append(jobs, j)
			e.check(src.info, part, p, o)
		}
	}
	for name := range w.tensors {
		if !used[name] && !(o.ignore != nil && o.ignore(name)) {
			e.Extra = append(e.Extra, name)
		}
	}
	return jobs, e.orNil()
}

func (e *MismatchError) check(info safetensors.Info, part Part, p *graph.Param, o loadOptions) {
	if !slices.Equal(info.Shape, part.Shape) {
		e.Reshaped = append(e.Reshaped, fmt.Sprintf("%s: %v, want %v", info.Name, info.Shape, part.Shape))
	}
	switch own := ownDtype(p); {
	case o.exact && info.Dtype != own:
		e.Dtypes = append(e.Dtypes, fmt.Sprintf("%s: %s, want %s", info.Name, info.Dtype, own))
	case !info.Dtype.IsFloat():
		e.Dtypes = append(e.Dtypes, fmt.Sprintf("%s: %s, want F64, F32, F16 or BF16", info.Name, info.Dtype))
	}
}
