package train

import (
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/kernel"
)

// average holds the exponential moving average of weights.
type average struct {
	params []*graph.Param
	values []gorgonia.Value
	d      float64
}

// newAverage starts at the weights as they are.
func newAverage(params []*graph.Param, d float64) (*average, error) {
	a := &average{params: params, d: d}
	for _, p := range params {
		v, err := gorgonia.CloneValue(p.Value())
		if err != nil {
			return nil, err
		}
		a.values = append(a.values, v)
	}
	return a, nil
}

// update follows the weights: a = d a + (1-d) w.
func (a *average) update() error {
	return a.each(func(avg, w []float32) {
		kernel.Scale(avg, float32(a.d), avg)
		kernel.Axpy(avg, float32(1-a.d), w)
	}, func(avg, w []float64) {
		kernel.Scale(avg, a.d, avg)
		kernel.Axpy(avg, 1-a.d, w)
	})
}

// swap exchanges the weights and their average. Twice is nothing.
func (a *average) swap() error { return a.each(exchange[float32], exchange[float64]) }

func exchange[T kernel.Float](a, b []T) {
	kernel.ParallelRange(len(a), 1<<14, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a[i], b[i] = b[i], a[i]
		}
	})
}

func (a *average) each(f32 func(avg, w []float32), f64 func(avg, w []float64)) error {
	for i, p := range a.params {
		w32, w64, err := graph.Floats(p.Value())
		if err != nil {
			return err
		}
		a32, a64, err := graph.Floats(a.values[i])
		if err != nil {
			return err
		}
		if w32 != nil {
			f32(a32, w32)
		} else {
			f64(a64, w64)
		}
	}
	return nil
}
