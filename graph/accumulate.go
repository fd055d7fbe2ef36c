package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// accumulator sums the gradients of micro-batches, each times its weight.
type accumulator struct {
	values []gorgonia.Value
	f32    [][]float32 // f32[i] or f64[i] is the backing of values[i]
	f64    [][]float64
}

func newAccumulator(grads []gorgonia.ValueGrad) (*accumulator, error) {
	a := &accumulator{}
	for _, vg := range grads {
		v, err := gorgonia.CloneValue(vg.Value())
		if err != nil {
			return nil, errors.Wrap(err, "graph: accumulate")
		}
		f32, f64, err := Floats(v)
		if err != nil {
			return nil, err
		}
		a.values, a.f32, a.f64 = append(a.values, v), append(a.f32, f32), append(a.f64, f64)
	}
	return a, nil
}

// accumulate adds w times the gradients of the last run; the first micro-batch
// of a step overwrites what the last step left.
func (p *Program) accumulate(micro int, w float64) error {
	if p.acc == nil {
		acc, err := newAccumulator(p.grads)
		if err != nil {
			return err
		}
		p.acc = acc
	}
	for i, vg := range p.grads {
		g, err := vg.Grad()
		if err != nil {
			return err
		}
		f32, f64, err := Floats(g)
		if err != nil {
			return errors.Wrapf(err, "graph: gradient of %s", vg.(*Param).name)
		}
		if len(f32) != len(p.acc.f32[i]) || len(f64) != len(p.acc.f64[i]) {
			return errors.Errorf("graph: gradient of %s has shape %v, want %v", vg.(*Param).name, g.Shape(), vg.(*Param).shape)
		}
		add(p.acc.f32[i], f32, micro, w)
		add(p.acc.f64[i], f64, micro, w)
	}
	return nil
}

func add[T kernel.Float](dst, g []T, micro int, w float64) {
	if micro == 0 {
		kernel.Scale(dst, T(w), g)
	} else {
		kernel.Axpy(dst, T(w), g)
	}
}

func (a *accumulator) scale(by float64) {
	for i := range a.values {
		kernel.Scale(a.f32[i], float32(by), a.f32[i])
		kernel.Scale(a.f64[i], by, a.f64[i])
	}
}
