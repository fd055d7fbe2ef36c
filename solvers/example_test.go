package solvers_test

import (
	"context"
	"fmt"
	"os"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

// A plain Gorgonia program: fit y = 3x - 1. The weight decays, the bias does
// not.
func Example() {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(4, 1),
		gorgonia.WithValue(tensor.New(tensor.WithShape(4, 1), tensor.WithBacking([]float64{-1, 0, 1, 2}))))
	y := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("y"), gorgonia.WithShape(4, 1),
		gorgonia.WithValue(tensor.New(tensor.WithShape(4, 1), tensor.WithBacking([]float64{-4, -1, 2, 5}))))
	w := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("fc.weight"), gorgonia.WithShape(1, 1), gorgonia.WithInit(gorgonia.Zeroes()))
	b := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("fc.bias"), gorgonia.WithShape(1), gorgonia.WithInit(gorgonia.Zeroes()))
	out := gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(x, w)), b, nil, []byte{0}))
	cost := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(out, y))))))
	params := gorgonia.Nodes{w, b}
	if _, err := gorgonia.Grad(cost, params...); err != nil {
		fmt.Println(err)
		return
	}

	gs, err := groups.ByNameAndShape(params)
	if err != nil {
		fmt.Println(err)
		return
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.1), solvers.WithWeightDecay(0.001))
	if err != nil {
		fmt.Println(err)
		return
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(params...))
	defer vm.Close()
	for range 300 {
		vm.RunAll()
		if err := adamw.Step(gorgonia.NodesToValueGrads(params)); err != nil {
			fmt.Println(err)
			return
		}
		vm.Reset()
	}
	fmt.Printf("y = %.2f x %+.2f\n", w.Value().Data().([]float64)[0], b.Value().Data().([]float64)[0])
	// Output:
	// y = 3.00 x -1.00
}

func ExampleAdamW_Plan() {
	ps, _ := graph.NewParams(nil) // a plan needs no weights
	ps.New("wte.weight", graph.TokenEmbedding, tensor.Shape{50257, 768}, nil)
	ps.New("ln_f.weight", graph.NormGain, tensor.Shape{768}, nil)
	gs, _ := groups.Split(ps, groups.GPT2Policy())
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(6e-4), solvers.WithWeightDecay(0.1),
		solvers.WithSchedule(solvers.WarmupCosine(2, 4, 0.5)))
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, _ := adamw.Plan(4)
	for _, row := range plan {
		fmt.Printf("%d %-8s lr %.2g lambda %.1g shrink %.2g tau %.0f\n", row.Step, row.Group, row.LR, row.Lambda, row.Shrink, row.Tau())
	}
	// Output:
	// 1 decay    lr 0.0003 lambda 0.1 shrink 3e-05 tau 33333
	// 1 no_decay lr 0.0003 lambda 0 shrink 0 tau +Inf
	// 2 decay    lr 0.0006 lambda 0.1 shrink 6e-05 tau 16667
	// 2 no_decay lr 0.0006 lambda 0 shrink 0 tau +Inf
	// 3 decay    lr 0.00045 lambda 0.1 shrink 4.5e-05 tau 22222
	// 3 no_decay lr 0.00045 lambda 0 shrink 0 tau +Inf
	// 4 decay    lr 0.0003 lambda 0.1 shrink 3e-05 tau 33333
	// 4 no_decay lr 0.0003 lambda 0 shrink 0 tau +Inf
}

func ExampleAdamW_Report() {
	ps, _ := graph.NewParams(nil)
	ps.New("c_fc.weight", graph.UpWeight, tensor.Shape{768, 3072}, nil)
	ps.New("c_fc.bias", graph.Bias, tensor.Shape{3072}, nil)
	gs, _ := groups.Split(ps, groups.GPT2Policy())
	adamw, _ := solvers.NewAdamW(gs, solvers.WithLR(6e-4), solvers.WithWeightDecay(0.1))
	report, _ := adamw.Report(1)
	report.WriteText(os.Stdout)
	// Output:
	// policy gpt2 (karpathy/nanoGPT@3adf61e model.py, configure_optimizers: parameters of rank >= 2 decay)
	// name         shape         count  role       group     lr mult      lr  lambda  shrink/step  tau (steps)  why
	// c_fc.weight  (768,3072)  2359296  up_weight  decay           1  0.0006     0.1        6e-05      16666.7  matrices decay
	// c_fc.bias    (3072)         3072  bias       no_decay        1  0.0006       0            0        never  biases do not decay
	// decay: 1 tensors, 2359296 parameters
	// no_decay: 1 tensors, 3072 parameters
}

// Gorgonia's Adam, its L2 for the decayed group alone, one clip for all.
func ExampleGrouped() {
	ps, _ := graph.NewParams(gorgonia.NewGraph())
	w, _ := ps.New("fc.weight", graph.Weight, tensor.Shape{2, 2}, graph.Constant(1))
	b, _ := ps.New("fc.bias", graph.Bias, tensor.Shape{2}, graph.Constant(0.5))
	sum := gorgonia.Must(gorgonia.BroadcastAdd(w.Node(), b.Node(), nil, []byte{0}))
	program, err := graph.Compile(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(sum)))), ps)
	if err != nil {
		fmt.Println(err)
		return
	}
	gs, _ := groups.Split(ps, groups.GPT2Policy())
	solver, err := solvers.NewGrouped(gs, func(g *groups.Group) (gorgonia.Solver, error) {
		lr := gorgonia.WithLearnRate(0.1)
		if g.Name == groups.NoDecay {
			return gorgonia.NewAdamSolver(lr), nil
		}
		return gorgonia.NewAdamSolver(lr, gorgonia.WithL2Reg(1e-4)), nil
	}, solvers.WithClipGlobalNorm(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		r, err := program.Step(context.Background(), solver)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("step %d: loss %.4f, gradient norm %.4f\n", r.Step, r.Loss, r.GradNorm)
	}
	// Output:
	// step 1: loss 2.2500, gradient norm 2.5981
	// step 2: loss 1.6900, gradient norm 2.2517
	// step 3: loss 1.2100, gradient norm 1.9053
}
