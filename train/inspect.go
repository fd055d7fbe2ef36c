package train

import (
	"fmt"
	"math"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
)

// Inspection is a look inside one step: norms by group and role.
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
	groups  *groups.Groups
	steps   int // of the run, to judge timescales
	rows    []Inside
	index   map[[2]string]int
	f32     [][]float32 // the weights before the step
	f64     [][]float64
	update  []float64 // sums of squares, by row
	decay   []float64
	warned  map[string]bool
	pending []string // warnings that no Inspection has carried yet
}

func newInspector(s Inspectable, steps int) (in *inspector, err error) {
	gs := s.Groups()
	in = &inspector{groups: gs, steps: steps, index: map[[2]string]int{}, warned: map[string]bool{}}
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
	in.pending, err = in.judge(s)
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
			in.f32, in.f64 = append(in.f32, nil), append(in.f64, nil)
		}
		w32, w64, _ := graph.Floats(p.Value()) // audited when the program was compiled
		in.f32[k], in.f64[k] = append(in.f32[k][:0], w32...), append(in.f64[k][:0], w64...)
		r := &in.rows[in.row(p)]
		r.WeightNorm += kernel.SumSquares(w32) + kernel.SumSquares(w64)
		r.GradNorm += kernel.SumSquares(g32) + kernel.SumSquares(g64)
		k++
	})
	for i := range in.rows {
		in.rows[i].WeightNorm = math.Sqrt(in.rows[i].WeightNorm)
		in.rows[i].GradNorm = math.Sqrt(in.rows[i].GradNorm)
	}
	return err
}

// after measures what the step has changed. report is the solver's report of
// that step.
func (in *inspector) after(step int, trained []*graph.Param, report *groups.Report) Inspection {
	rates := make(map[string]groups.Rate, len(report.Rows))
	for _, r := range report.Rows {
		if r.Rate != nil {
			rates[r.Name] = *r.Rate
		}
	}
	out := Inspection{Step: step, Warnings: in.pending}
	in.pending = nil
	for k, p := range trained {
		i := in.row(p)
		shrink := rates[p.Name()].Shrink
		square := kernel.SumSquares(in.f32[k]) + kernel.SumSquares(in.f64[k])
		in.decay[i] += shrink * shrink * square
		w32, w64, _ := graph.Floats(p.Value())
		kernel.Axpy(in.f32[k], -1, w32) // the change, negated
		kernel.Axpy(in.f64[k], -1, w64)
		in.update[i] += kernel.SumSquares(in.f32[k]) + kernel.SumSquares(in.f64[k])
		in.rows[i].Tau = rates[p.Name()].Tau()
		if note := rates[p.Name()].Note; note != "" {
			in.warn(&out, fmt.Sprintf("%s: %s", p.Name(), note))
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
			in.warn(&out, fmt.Sprintf("group %s, %v: the step changed nothing", r.Group, r.Role))
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
			in.warn(&out, fmt.Sprintf("group %s: in all %d steps together its decay shrinks a weight by %.2g %%, which is next to nothing", g.Name, in.steps, -100*math.Expm1(-sum)))
		case top > 0.1:
			in.warn(&out, fmt.Sprintf("group %s: its decay forgets a weight within %.2g steps", g.Name, 1/top))
		}
	}
	return out.Warnings, nil
}

// warn says each thing once a run.
func (in *inspector) warn(out *Inspection, text string) {
	if !in.warned[text] {
		in.warned[text] = true
		out.Warnings = append(out.Warnings, text)
	}
}
