package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// gptCase is a GPT-2 and the batch that it is trained on.
type gptCase struct {
	Name       string
	L, C, H, V int
	Context    int
	B, T       int
}

const normEps = 1e-5

// config is the model's: biases, LayerNorm, GELU, learned positions, tied head.
func (g gptCase) config() gptblock.Config {
	return gptblock.Config{
		Vocab: g.V, Context: g.Context, Layers: g.L, Channels: g.C, Heads: g.H,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm,
		Norm: gptblock.NormLayer, NormBias: true, NormEps: normEps, Bias: true,
		Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
		Init: gptblock.Init{Std: 0.02, ScaleResidual: true},
	}
}

func (g gptCase) tokens() float64 { return float64(g.B * g.T) }

// job is what a child process is asked to run.
type job struct {
	Subject string     // a benchmark of the training suite, or portableGemm
	Case    gptCase    // what a training step runs on
	Gemm    *gemmShape `json:",omitempty"` // what portableGemm computes
}

// The benchmarks of a training step.
const (
	oursAdamW = "train_step"
	oneThread = "train_step_one_thread" // the same on one thread
	oursAdam  = "train_step_stock_adam" // our ops, gorgonia.AdamSolver
	stockOps  = "train_step_stock_ops"  // Gorgonia's ops and its AdamSolver
)

// trainer is a model with its solver and one batch, on which it trains again
// and again.
type trainer struct {
	label   string
	threads int // 0 means all
	prog    *graph.Program
	solver  gorgonia.Solver
	feed    graph.Feed
}

func newTrainer(j job) (*trainer, error) {
	ps, err := graph.NewParams(gorgonia.NewGraph())
	if err != nil {
		return nil, err
	}
	t := &trainer{label: j.Subject}
	var loss *gorgonia.Node
	switch j.Subject {
	case oursAdamW, oneThread, oursAdam:
		loss, t.feed, err = ourModel(ps, j.Case)
	case stockOps:
		loss, t.feed, err = stockModel(ps, j.Case)
	default:
		err = fmt.Errorf("subject = %q, want a benchmark of a training step", j.Subject)
	}
	if err != nil {
		return nil, err
	}
	if t.prog, err = graph.Compile(loss, ps); err != nil {
		return nil, err
	}
	switch j.Subject {
	case oursAdam, stockOps:
		t.solver = newStockAdam()
		return t, nil
	case oneThread:
		t.threads = 1
	}
	gs, err := groups.Split(ps, groups.GPT2Policy())
	if err != nil {
		return nil, err
	}
	t.solver, err = newAdamW(gs)
	return t, err
}

// ourModel builds the case with gptblock.
func ourModel(ps *graph.Params, g gptCase) (loss *gorgonia.Node, feed graph.Feed, err error) {
	model, err := gptblock.New(ps, g.config())
	if err != nil {
		return nil, nil, err
	}
	shape := gorgonia.WithShape(g.B, g.T)
	tokens := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, shape, gorgonia.WithName("tokens"))
	targets := gorgonia.NewMatrix(ps.Graph(), tensor.Int32, shape, gorgonia.WithName("targets"))
	if loss, err = model.Loss(tokens, targets); err != nil {
		return nil, nil, err
	}
	x, y := g.batch()
	return loss, graph.Feed{tokens: x, targets: y}, nil
}

// stockModel builds the case from Gorgonia's own ops.
func stockModel(ps *graph.Params, g gptCase) (loss *gorgonia.Node, feed graph.Feed, err error) {
	rows := g.B * g.T
	vector := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(ps.Graph(), tensor.Int, gorgonia.WithShape(rows), gorgonia.WithName(name))
	}
	tokens, positions := vector("tokens"), vector("positions")
	targets := gorgonia.NewMatrix(ps.Graph(), tensor.Float32, gorgonia.WithShape(rows, g.V), gorgonia.WithName("targets"))
	if err := ps.Input(targets); err != nil {
		return nil, nil, err
	}
	m := stockGPT{gptCase: g, ps: ps}
	if loss, err = m.loss(tokens, targets, positions); err != nil {
		return nil, nil, err
	}
	x, y := g.batch()
	ids, places, oneHot := make([]int, rows), make([]int, rows), make([]float32, rows*g.V)
	for i := range rows {
		ids[i], places[i] = int(x[i]), i%g.T
		oneHot[i*g.V+int(y[i])] = 1
	}
	return loss, graph.Feed{tokens: ids, positions: places, targets: oneHot}, nil
}

// batch is random tokens and the tokens that follow each.
func (g gptCase) batch() (tokens, targets []int32) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range g.B {
		next := int32(rng.IntN(g.V))
		for range g.T {
			tokens = append(tokens, next)
			next = int32(rng.IntN(g.V))
			targets = append(targets, next)
		}
	}
	return tokens, targets
}

func (t *trainer) name() string { return t.label }

func (t *trainer) run(steps int) (report, error) {
	if t.threads > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(t.threads))
	}
	var loss float64
	r, err := local{step: func() error {
		result, err := t.prog.Step(context.Background(), t.solver, t.feed)
		loss = result.Loss
		return err
	}}.run(steps)
	r.Loss, r.PeakRSS = loss, peakRSS()
	return r, err
}

func (t *trainer) close() error { return t.prog.Close() }
