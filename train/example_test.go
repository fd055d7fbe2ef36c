package train_test

import (
	"context"
	"fmt"
	"os"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// printer tells of every tenth step and of validations.
type printer struct{ train.Nothing }

func (printer) Step(s train.Step) error {
	if s.Step%10 == 0 {
		fmt.Printf("step %d: loss %.2f, lr %.4f, weight decay %g\n", s.Step, s.Loss, s.LR(), s.WeightDecay())
	}
	return nil
}

func (printer) Eval(e train.Eval) error {
	fmt.Printf("step %d: validation loss %.2f, best yet: %v\n", e.Step, e.Loss, e.Best)
	return nil
}

// A tiny GPT learns to count modulo 7, from sequences that start anywhere.
func Example() {
	const B, T, steps = 4, 8, 40
	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1), graph.WithDtype(tensor.Float64))
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := gptblock.New(params, gptblock.Config{
		Vocab: 7, Context: T, Layers: 1, Channels: 16, Heads: 2,
		Layout: gptblock.LayoutLlama, Block: gptblock.BlockPreNorm, Norm: gptblock.NormRMS, NormEps: 1e-5,
		Activation: gptblock.SwiGLU, Position: gptblock.PositionRoPE,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("tokens"))
	targets := gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(B, T), gorgonia.WithName("targets"))
	loss, err := model.Loss(tokens, targets)
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := graph.Compile(loss, params)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		fmt.Println(err)
		return
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(0.02), solvers.WithWeightDecay(0.1), solvers.WithSchedule(solvers.WarmupCosine(5, steps, 0.1)))
	if err != nil {
		fmt.Println(err)
		return
	}

	counting := func(start int) graph.Feed {
		x, y := make([]int32, B*T), make([]int32, B*T)
		for i := range x {
			n := start + i/T + i%T
			x[i], y[i] = int32(n%7), int32((n+1)%7)
		}
		return graph.Feed{tokens: x, targets: y}
	}
	run := train.Run{
		Config:  train.Config{Steps: steps, EvalEvery: 20},
		Program: program, Solver: adamw, Params: params,
		Batch: func(step, micro int) (graph.Feed, error) { return counting(step), nil },
		Validate: func(ctx context.Context) (float64, error) {
			r, err := program.Eval(ctx, counting(3))
			return r.Loss, err
		},
		Observers: []train.Observer{printer{}},
	}
	summary, err := run.Train(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s after %d steps, best at step %d\n", summary.Stopped, summary.Steps, summary.BestStep)
	// Output:
	// step 10: loss 0.49, lr 0.0191, weight decay 0.1
	// step 20: loss 0.04, lr 0.0130, weight decay 0.1
	// step 20: validation loss 0.04, best yet: true
	// step 30: loss 0.02, lr 0.0054, weight decay 0.1
	// step 40: loss 0.01, lr 0.0020, weight decay 0.1
	// step 40: validation loss 0.01, best yet: true
	// finished after 40 steps, best at step 40
}

// The records of a run, one JSON object a line.
func ExampleJSONL() {
	o := train.NewJSONL(os.Stdout)
	rates := solvers.Plan{{Step: 1, Group: groups.Decay, Rate: groups.Rate{LR: 0.001, Lambda: 0.1, Shrink: 0.0001}}}
	for _, err := range []error{
		o.Step(train.Step{Step: 1, Loss: 4.25, GradNorm: 2, Tokens: 1024, Seconds: 0.25, Rates: rates}),
		o.Step(train.Step{Step: 2, Loss: 4.5, GradNorm: 90, Tokens: 1024, Seconds: 0.25, Rates: rates, Skipped: "gradient norm 90 is an outlier, z = 7.1"}),
		o.Eval(train.Eval{Step: 2, Loss: 4.125, Best: true}),
	} {
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"step":1,"loss":4.25,"lr":0.001,"weight_decay":0.1,"grad_norm":2,"tokens_per_second":4096}
	// {"step":2,"loss":4.5,"lr":0.001,"weight_decay":0.1,"grad_norm":90,"tokens_per_second":4096,"skipped":"gradient norm 90 is an outlier, z = 7.1"}
	// {"step":2,"val_loss":4.125,"best":true}
}
