package train

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/solvers"
)

// window is the number of steps that outliers are judged against, and that
// must have passed before any step is judged: llm.c's 128.
const window = 128

// gauge keeps the last values of a series.
type gauge struct{ values []float64 }

// z is how many standard deviations x lies above the mean of the window, 0
// until the window is full.
func (g *gauge) z(x float64) float64 {
	if len(g.values) < window {
		return 0
	}
	var mean, variance float64
	for _, v := range g.values {
		mean += v / window
	}
	for _, v := range g.values {
		variance += (v - mean) * (v - mean) / window
	}
	if variance == 0 {
		return 0
	}
	return (x - mean) / math.Sqrt(variance)
}

// add appends x, which the next steps are judged against even if it was an
// outlier itself: a level that stays is no outlier for long.
func (g *gauge) add(x float64) {
	g.values = append(g.values, x)
	if len(g.values) > window {
		g.values = append(g.values[:0], g.values[1:]...)
	}
}

// skip leaves a step out and records why.
func (r *Run) skip(rec *Step, why error) {
	r.Program.Skip()
	r.sum.LastError = why
	rec.Skipped = why.Error()
}

// refusal reports whether err is about a step that is not finite.
func refusal(err error) bool {
	return errors.Is(err, graph.ErrNonFiniteLoss) || errors.Is(err, solvers.ErrNonFinite)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// nonFinite names the first parameter whose gradient is not finite.
func (r *Run) nonFinite() error {
	name := "all parameters together"
	if err := r.Program.EachGrad(func(p *graph.Param, f32 []float32, f64 []float64) {
		if name == "all parameters together" && !finite(kernel.SumSquares(f32)+kernel.SumSquares(f64)) {
			name = p.Name()
		}
	}); err != nil {
		return err
	}
	return errors.Wrap(solvers.ErrNonFinite, "train: the gradient norm of "+name)
}

// refused skips a step that is not finite, if the run was told to.
func (r *Run) refused(rec Step, err error) (Step, *Inspection, error) {
	if !refusal(err) || r.NonFinite != Skip {
		return rec, nil, err
	}
	r.skip(&rec, err)
	if errors.Is(err, graph.ErrNonFiniteLoss) {
		rec.Loss = math.NaN()
	}
	return rec, nil, nil
}

// outlier says why a step must not be applied, nil if it may. Both numbers are
// finite.
func (r *Run) outlier(loss, norm float64) error {
	zl, zn := r.loss.z(loss), r.norm.z(norm)
	r.loss.add(loss)
	r.norm.add(norm)
	switch {
	case zl > r.OutlierZ:
		return errors.Errorf("loss %.4g is an outlier, z = %.1f", loss, zl)
	case zn > r.OutlierZ:
		return errors.Errorf("gradient norm %.4g is an outlier, z = %.1f", norm, zn)
	}
	return nil
}
