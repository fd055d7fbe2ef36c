package checkpoint

import (
	"github.com/pkg/errors"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/graph"
)

type loadOptions struct {
	mapping Mapping
	ignore  func(name string) bool
	finite  bool
	exact   bool // the dtypes of file and parameter must be the same
}

// LoadOption changes a default of [Load].
type LoadOption func(*loadOptions)

// LoadMapping says which tensors make each parameter; the default is one of the
// parameter's name and shape.
func LoadMapping(m Mapping) LoadOption { return func(o *loadOptions) { o.mapping = m } }

// IgnoreTensors names tensors of the file that are no weights (masks that old
// checkpoints carry); the default is none, and every tensor without a parameter
// is an error.
func IgnoreTensors(ignore func(name string) bool) LoadOption {
	return func(o *loadOptions) { o.ignore = ignore }
}

// CheckFinite reads all numbers once before any weight changes, and fails with
// safetensors.ErrNotFinite and the tensor's name at a NaN or infinity.
func CheckFinite() LoadOption { return func(o *loadOptions) { o.finite = true } }

// Load reads the parameters' values from path, a safetensors file or a folder
// (see [Open]). Types are converted: F64, F32, F16 and BF16 of the file to the
// parameters' float32 or float64.
//
// A tied parameter may be in the file under its own name, an alias, or both if
// all are equal. If the tensors of the file are not those of ps, Load fails with
// a *[MismatchError] that lists every difference, and no weight has changed. A
// read error later names the tensor; the weights must not be used then.
func Load(ps *graph.Params, path string, opts ...LoadOption) error {
	w, err := Open(path)
	if err != nil {
		return err
	}
	defer w.Close()
	return w.Load(ps, opts...)
}

// Load is the function [Load] for weights that are open.
func (w *Weights) Load(ps *graph.Params, opts ...LoadOption) error {
	var o loadOptions
	for _, opt := range opts {
		opt(&o)
	}
	jobs, err := w.plan(ps, o)
	if err != nil {
		return err
	}
	if err := w.checkTies(jobs); err != nil {
		return err
	}
	if o.finite {
		for _, j := range jobs {
			if err := j.src.file.CheckFinite(j.src.info.Name); err != nil {
				return errors.WithMessage(err, "checkpoint")
			}
		}
	}
	for _, j := range jobs {
		if err := j.run(); err != nil {
			return errors.WithMessagef(err, "checkpoint: parameter %s", j.p.Name())
		}
	}
	return nil
}

func (j job) run() error {
	f32, f64, err := graph.Floats(j.p.Value())
	if err != nil {
		return err
	}
	if f32 != nil {
		return read(j, f32[j.part.at:])
	}
	return read(j, f64[j.part.at:])
}

func read[T safetensors.Float](j job, dst []T) error {
	f, name := j.src.file, j.src.info.Name
	if j.part.Row == nil {
		return safetensors.Read(f, name, 0, dst[:j.part.Len()])
	}
	rows := j.part.Shape[0]
	n := j.part.Len() / rows
	for i := range rows {
		to := j.part.Row(i) * n
		if err := safetensors.Read(f, name, i*n, dst[to:to+n]); err != nil {
			return err
		}
	}
	return nil
}

// checkTies compares the copies of tied parameters in the file: the model has
// one tensor for them, so they must be equal.
func (w *Weights) checkTies(jobs []job) error {
	e := &MismatchError{Path: w.path}
	for _, j := range jobs {
		for _, c := range j.copies {
			same, err := equal(j.src, c)
			if err != nil {
				return err
			}
			if !same {
				e.Untied = append(e.Untied, c.info.Name+" differs from "+j.src.info.Name+", with which the model ties it")
			}
		}
	}
	return e.orNil()
}

// equal compares two tensors number by number, in pieces. NaN equals NaN.
func equal(a, b source) (bool, error) {
	n := a.info.Len()
	if n != b.info.Len() {
		return false, nil
	}
	const piece = 1 << 15
	x, y := make([]float64, min(n, piece)), make([]float64, min(n, piece))
	for at := 0; at < n; at += piece {
		m := min(piece, n-at)
		if err := safetensors.Read(a.file, a.info.Name, at, x[:m]); err != nil {
			return false, errors.WithMessage(err, "checkpoint")
		}
		if err := safetensors.Read(b.file, b.info.Name, at, y[:m]); err != nil {
			return false, errors.WithMessage(err, "checkpoint")
		}
		for i := range m {
			if x[i] != y[i] && (x[i] == x[i] || y[i] == y[i]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// ownDtype is the type of a file that holds p without conversion.
func ownDtype(p *graph.Param) safetensors.Dtype {
	if p.Dtype() == tensor.Float64 {
		return safetensors.F64
	}
	return safetensors.F32
}
