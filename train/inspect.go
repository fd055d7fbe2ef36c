package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/solvers"
)

// Inspection is a look inside one step: norms by group and role. Warnings are
// about decay that has no effect, or that cannot show within the run, or
// forgets within a few steps; about roles that a step did not change; and about
// parameters that do not shrink as they must. That is checked where the decay
// is all that moves a parameter, to within a tenth: a parameter whose gradient
// and momentum (the solver's "exp_avg") are zero. Each warning comes once a run.
type Inspection struct {
	Step     int
	Rows     []Inside
	Warnings []string
}

// Inside is about all parameters of one role in one group, taken as one vector.
type Inside struct {
	Group      string
	Role       graph.Role
	Params     int     // elements
	WeightNorm float64 // before the step
	GradNorm   float64 // before clipping
	// UpdateRatio is the norm of what the step changed over WeightNorm: about
	// 1e-3 in a healthy run. NaN while all weights are zero.
	UpdateRatio float64
	// DecayShare is the norm of the decay's part of the change over the norm
	// of the change; 0 without decay. The parts are vectors: the share can
	// exceed 1 where gradient and decay pull apart.
	DecayShare float64
	Tau        float64 // timescale of the decay in steps; +Inf without decay
}

// inspector measures one step: before, then after.
type inspector struct {
	groups *groups.Groups
	steps  int // of the run, to judge timescales
	rows   []Inside
	idle   []bool // parameters whose gradient is zero
	index  map[[2]string]int
	f32    [][]float32 // the weights before the step
	f64    [][]float64
	update []float64 // sums of squares, by row
	decay  []float64
	plan   []string // warnings about the plan of the whole run
}

func newInspector(s Inspectable, steps int) (in *inspector, err error) {
	gs := s.Groups()
	in = &inspector{groups: gs, steps: steps, index: map[[2]string]int{}}
	for _, g := range gs.All() {
		for _, p := range g.Params {
			key := [2]string{g.Name, p.Role().String()}
			if _, ok := in.index[key]; !ok {
				in.index[key] = len(in.rows)
				in.rows = append(in.rows, Inside{Group: g.Name, Role: p.Role()})
			}
			in.rows[in.index[key]].Params += p.Size()
		}
	}
	in.update, in.decay = make([]float64, len(in.rows)), make([]float64, len(in.rows))
	in.plan, err = in.judge(s)
	return in, err
}

func (in *inspector) row(p *graph.Param) int {
	return in.index[[2]string{in.groups.Of(p).Name, p.Role().String()}]
}

// before copies the weights and measures them and their gradients.
func (in *inspector) before(prog *graph.Program) error {
	for i := range in.rows {
		in.rows[i].WeightNorm, in.rows[i].GradNorm, in.update[i], in.decay[i] = 0, 0, 0, 0
	}
	k := 0
	err := prog.EachGrad(func(p *graph.Param, g32 []float32, g64 []float64) {
		if k == len(in.f32) {
			in.f32, in.f64, in.idle = append(in.f32, nil), append(in.f64, nil), append(in.idle, false)
		}
		w32, w64, _ := graph.Floats(p.Value()) // audited when the program was compiled
		in.f32[k], in.f64[k] = append(in.f32[k][:0], w32...), append(in.f64[k][:0], w64...)
		r := &in.rows[in.row(p)]
		r.WeightNorm += kernel.SumSquares(w32) + kernel.SumSquares(w64)
		g := kernel.SumSquares(g32) + kernel.SumSquares(g64)
		in.idle[k] = g == 0
		r.GradNorm += g
		k++
	})
	for i := range in.rows {
		in.rows[i].WeightNorm = math.Sqrt(in.rows[i].WeightNorm)
		in.rows[i].GradNorm = math.Sqrt(in.rows[i].GradNorm)
	}
	return err
}

// after measures what the step has changed. report is the solver's report of
// that step. The same warning comes at every look; the run says it once.
func (in *inspector) after(step int, trained []*graph.Param, s Inspectable, report *groups.Report) Inspection {
	rates := make(map[string]groups.Rate, len(report.Rows))
	for _, r := range report.Rows {
		if r.Rate != nil {
			rates[r.Name] = *r.Rate
		}
	}
	out := Inspection{Step: step, Warnings: slices.Clone(in.plan)}
	for k, p := range trained {
		i := in.row(p)
		shrink := rates[p.Name()].Shrink
		square := kernel.SumSquares(in.f32[k]) + kernel.SumSquares(in.f64[k])
		in.decay[i] += shrink * shrink * square
		w32, w64, _ := graph.Floats(p.Value())
		kernel.Axpy(in.f32[k], -1, w32) // the change, negated
		kernel.Axpy(in.f64[k], -1, w64)
		change := kernel.SumSquares(in.f32[k]) + kernel.SumSquares(in.f64[k])
		in.update[i] += change
		if in.idle[k] && unmoved(s, p) {
			out.checkDecay(p, math.Sqrt(change), shrink*math.Sqrt(square))
		}
		in.rows[i].Tau = rates[p.Name()].Tau()
		if note := rates[p.Name()].Note; note != "" {
			out.warn("%s: %s", p.Name(), note)
		}
	}
	for i := range in.rows {
		r := &in.rows[i]
		update := math.Sqrt(in.update[i])
		r.UpdateRatio, r.DecayShare = update/r.WeightNorm, 0
		if in.decay[i] > 0 && update > 0 {
			r.DecayShare = math.Sqrt(in.decay[i]) / update
		}
		if r.WeightNorm == 0 {
			r.UpdateRatio = math.NaN()
		}
		if update == 0 {
			out.warn("group %s, %v: the step changed nothing", r.Group, r.Role)
		}
	}
	out.Rows = append(out.Rows, in.rows...)
	return out
}

// judge warns of decay that cannot show within the run, or that forgets a
// weight within a few steps. The plan of the whole run is judged, not the rate
// of one step, which a schedule changes.
func (in *inspector) judge(p Planner) ([]string, error) {
	var out Inspection
	const samples = 1000
	stride := max(1, in.steps/samples)
	total, most := map[string]float64{}, map[string]float64{}
	for step := 1; step <= in.steps; step += stride {
		rows, err := p.PlanStep(step)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			total[r.Group] += r.Shrink * float64(min(stride, in.steps-step+1))
			most[r.Group] = max(most[r.Group], r.Shrink)
		}
	}
	for _, g := range in.groups.All() {
		switch sum, top := total[g.Name], most[g.Name]; {
		case sum > 0 && sum < 0.05:
			out.warn("group %s: in all %d steps together its decay shrinks a weight by %.2g %%, which is next to nothing", g.Name, in.steps, -100*math.Expm1(-sum))
		case top > 0.1:
			out.warn("group %s: its decay forgets a weight within %.2g steps", g.Name, 1/top)
		}
	}
	return out.Warnings, nil
}

// checkDecay compares how far a parameter moved with how far its decay alone
// must have moved it. Rounding may take a tenth of it, which happens when the
// shrink is near the precision of the type.
func (in *Inspection) checkDecay(p *graph.Param, moved, want float64) {
	if want > 0 && !(math.Abs(moved-want) <= 0.1*want) {
		in.warn("%s: does not shrink as it must: without a gradient the step changed it by a norm of %.3g, its decay is %.3g", p.Name(), moved, want)
	}
}

// unmoved reports whether a parameter without a gradient has no momentum
// either, so that its decay is all that a step does to it.
func unmoved(s Inspectable, p *graph.Param) bool {
	stateful, ok := s.(interface{ StateView() solvers.State })
	if !ok {
		return false
	}
	m, ok := stateful.StateView().Params[p.Name()].Tensors["exp_avg"]
	if !ok {
		return false
	}
	f32, f64, err := graph.Floats(m)
	return err == nil && kernel.SumSquares(f32)+kernel.SumSquares(f64) == 0
}

func (in *Inspection) warn(format string, args ...any) {
	in.Warnings = append(in.Warnings, fmt.Sprintf(format, args...))
}

// unsaid are the warnings that this run has not given yet.
func (r *Run) unsaid(warnings []string) (fresh []string) {
	for _, w := range warnings {
		if !slices.Contains(r.state.Warned, w) {
			fresh = append(fresh, w)
			r.state.Warned = append(r.state.Warned, w)
		}
	}
	return fresh
}
