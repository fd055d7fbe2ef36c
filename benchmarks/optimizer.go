package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/solvers"
)

// optimizerSuite measures an optimizer's step over float32 parameters.
//
//	adamw_kernel     the update alone, one pass over memory
//	adamw_step       solvers.AdamW.Step on gradients that the next run
//	                 overwrites, as graph.Program hands them over
//	adamw_step_user  the same on the gradients of any gorgonia.ValueGrad, which
//	                 a solver must zero
//	stock_adam_step  gorgonia.AdamSolver.Step
//	copy_bandwidth   bytes read and written by a copy within as much memory, the
//	                 faster of Go's copy and non-temporal stores
var optimizerSuite = &suite{
	title: "Optimizer step",
	benchmarks: []benchmark{
		{name: "adamw_kernel", cases: optimizerSizes},
		{name: "adamw_step", cases: optimizerSizes},
		{name: "adamw_step_user", cases: optimizerSizes},
		{name: "stock_adam_step", cases: optimizerSizes},
		{name: "copy_bandwidth", cases: optimizerSizes},
	},
	run: runOptimizer,
}

var optimizerSizes = []string{"1e6", "1e7", "124e6"} // parameters

// adamWTraffic is the number of bytes a parameter that an AdamW update must
// move: w, m and v are read and written, g is read.
const adamWTraffic = 28

func runOptimizer(ctx context.Context, s settings, wanted []string, name string) ([]row, error) {
	size, err := strconv.ParseFloat(name, 64)
	if err != nil {
		return nil, err
	}
	return measureOptimizer(ctx, s, wanted, name, int(size))
}

func measureOptimizer(ctx context.Context, s settings, wanted []string, name string, n int) ([]row, error) {
	var contenders []contender
	for _, benchmark := range wanted {
		if benchmark == "copy_bandwidth" {
			continue
		}
		c, err := newOptimizer(benchmark, newHandedParam(n))
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, c)
	}
	peers := startTorch(ctx, s, s.torchSetups("eager"), "adamw_step", map[string]int{"N": n})
	defer closeAll(peers)
	contenders = append(contenders, peers...)
	copies := len(contenders) // always: the yardstick of the others
	contenders = append(contenders, copyContenders(n)...)

	results, err := alternate(ctx, s.schedule, contenders)
	if err != nil {
		return nil, err
	}
	bandwidth := copyRates(results[copies:], n)
	var rows []row
	add := func(metric string, value float64, unit string) {
		rows = append(rows, row{metric, name, value, unit})
	}
	seconds := map[string][]float64{}
	for i, c := range contenders[:copies] {
		if results[i].seconds == nil {
			continue
		}
		seconds[c.name()] = results[i].seconds
		add(c.name(), median(results[i].seconds)/float64(n)*1e9, "ns/param")
		if _, ours := c.(local); ours {
			add(c.name()+"_allocated", results[i].allocated/float64(n), "B/param")
		}
	}
	add("copy_bandwidth", median(bandwidth)/1e9, "GB/s")
	for _, benchmark := range []string{"adamw_kernel", "adamw_step"} {
		if t := seconds[benchmark]; t != nil {
			add(benchmark+"_of_copy_bandwidth", medianRatio(rates(adamWTraffic*float64(n), t), bandwidth), "ratio")
		}
	}
	if ours := seconds["adamw_step"]; ours != nil {
		for _, c := range contenders[:copies] {
			_, peer := c.(*process)
			if theirs := seconds[c.name()]; theirs != nil && (peer || c.name() == "stock_adam_step") {
				add("adamw_step_speedup_over_"+strings.TrimPrefix(c.name(), "adamw_step_"), medianRatio(theirs, ours), "ratio")
			}
		}
	}
	return rows, nil
}

// newOptimizer makes one of the benchmarks over the elements of p.
func newOptimizer(benchmark string, p *handedParam) (contender, error) {
	p.transient = benchmark == "adamw_step"
	var solver gorgonia.Solver
	switch benchmark {
	case "adamw_kernel":
		w, g := p.w.Float32s(), p.g.Float32s()
		m, v := make([]float32, len(w)), make([]float32, len(w))
		params := kernel.AdamWParams{
			Decay: 1 - 3e-5, Beta1: 0.9, Beta2: 0.95, GradScale: 1, StepSize: 3e-4, InvSqrtBC2: 1, Eps: 1e-8,
		}
		return local{label: benchmark, step: func() error { kernel.AdamW(w, g, m, v, nil, params); return nil }}, nil
	case "stock_adam_step":
		solver = newStockAdam()
	default:
		params, err := graph.NewParams(gorgonia.NewGraph())
		if err != nil {
			return nil, err
		}
		if err := p.register(params); err != nil {
			return nil, err
		}
		gs, err := groups.Split(params, groups.DecayAllPolicy())
		if err != nil {
			return nil, err
		}
		if solver, err = newAdamW(gs); err != nil {
			return nil, err
		}
	}
	model := []gorgonia.ValueGrad{p}
	c := local{label: benchmark, step: func() error { return solver.Step(model) }}
	if !p.transient { // moments of gradients that stay zero would become denormal
		gradient := slices.Clone(p.g.Float32s())
		c.prepare = func() { copy(p.g.Float32s(), gradient) }
	}
	return c, nil
}

// The hyperparameters of all steps that are timed; the peers have the same.
const (
	learnRate    = 3e-4
	beta1, beta2 = 0.9, 0.95
	weightDecay  = 0.1
)

func newAdamW(gs *groups.Groups) (*solvers.AdamW, error) {
	return solvers.NewAdamW(gs, solvers.WithLR(learnRate), solvers.WithBetas(beta1, beta2), solvers.WithWeightDecay(weightDecay))
}

func newStockAdam() gorgonia.Solver {
	return gorgonia.NewAdamSolver(gorgonia.WithLearnRate(learnRate), gorgonia.WithBeta1(beta1), gorgonia.WithBeta2(beta2))
}

// handedParam is a parameter with its gradient, as a user's own program would
// hand it to a solver.
type handedParam struct {
	w, g      *tensor.Dense
	transient bool
}

func newHandedParam(n int) *handedParam {
	fresh := func(scale float32) *tensor.Dense {
		xs := make([]float32, n)
		for i := range xs {
			xs[i] = scale * float32(i%97-48)
		}
		return tensor.New(tensor.WithShape(n), tensor.WithBacking(xs))
	}
	return &handedParam{w: fresh(1e-3), g: fresh(1e-4)}
}

// register adopts the parameter, so that groups can be made of it.
func (p *handedParam) register(params *graph.Params) error {
	node := gorgonia.NewVector(params.Graph(), tensor.Float32, gorgonia.WithShape(p.w.Shape()...), gorgonia.WithName(p.Name()), gorgonia.WithValue(p.w))
	_, err := params.Adopt(node, graph.Bias)
	return err
}

func (p *handedParam) Name() string                  { return "p" }
func (p *handedParam) Value() gorgonia.Value         { return p.w }
func (p *handedParam) Grad() (gorgonia.Value, error) { return p.g, nil }
func (p *handedParam) GradIsTransient() bool         { return p.transient }
