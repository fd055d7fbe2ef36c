// Command grokking shows what weight decay is for. A one-layer GPT learns
// a + b mod 59 from 30 % of all pairs. With decay it first knows the training
// pairs by heart and much later, all at once, understands addition; without
// decay it stays at knowing by heart.
//
//	go run ./examples/grokking
//
// The phenomenon is that of Power et al. 2022 (arXiv:2201.02177). It does not
// show that decay has to be decoupled: Adam with L2 groks too, at another
// coefficient.
package main

import (
	"context"
	"flag"
	"fmt"
	"image/color"
	"log"
	"math/rand/v2"
	"time"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

const (
	modulus = 59
	equals  = modulus     // the token "="
	vocab   = modulus + 1 // numbers and "="
	T       = 3           // [a, b, =], the answer is the target of "="
	batch   = 512
)

func main() {
	steps := flag.Int("steps", 2000, "optimizer steps")
	seeds := flag.Int("seeds", 3, "runs for each weight decay")
	every := flag.Int("every", 100, "steps between validations")
	out := flag.String("out", "grokking.png", "file of the figure (.png or .svg)")
	flag.Parse()

	p := plot.New()
	p.Title.Text = "a + b mod 59: accuracy on pairs that were never shown"
	p.X.Label.Text, p.Y.Label.Text = "step", "accuracy"
	p.Add(plotter.NewGrid())
	p.Legend.Left, p.Legend.Top = true, true
	for _, c := range []struct {
		lambda float64
		color  color.Color
	}{{1, color.RGBA{0, 0x72, 0xb2, 0xff}}, {0, color.RGBA{0xe6, 0x9f, 0, 0xff}}} {
		for seed := 1; seed <= *seeds; seed++ {
			start := time.Now()
			points, err := run(c.lambda, uint64(seed), *steps, *every)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("weight decay %g, seed %d: %s   (%v)\n", c.lambda, seed, tell(points), time.Since(start).Round(time.Second))
			line, err := plotter.NewLine(points)
			if err != nil {
				log.Fatal(err)
			}
			line.Color, line.Width = c.color, vg.Points(1.5)
			p.Add(line)
			if seed == 1 {
				p.Legend.Add(fmt.Sprintf("weight decay %g", c.lambda), line)
			}
		}
	}
	if err := p.Save(18*vg.Centimeter, 10*vg.Centimeter, *out); err != nil {
		log.Fatal(err)
	}
	fmt.Println("figure in", *out)
}

// tell sums up a curve: when it passed 99.5 %, or where it ended.
func tell(points plotter.XYs) string {
	for _, p := range points {
		if p.Y > 0.995 {
			return fmt.Sprintf("above 99.5 %% of the unseen pairs at step %.0f", p.X)
		}
	}
	last := points[len(points)-1]
	return fmt.Sprintf("%.1f %% of the unseen pairs at step %.0f", 100*last.Y, last.X)
}

// run trains once and returns the accuracy on the unseen pairs over the steps.
func run(lambda float64, seed uint64, steps, every int) (plotter.XYs, error) {
	rng := rand.New(rand.NewPCG(seed, 59))
	pairs := rng.Perm(modulus * modulus)
	cut := len(pairs) * 3 / 10
	shown, unseen := pairs[:cut], pairs[cut:]

	config := gptblock.Config{
		Vocab: vocab, Context: T, Layers: 1, Channels: 64, Heads: 4,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
	}
	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(seed))
	if err != nil {
		return nil, err
	}
	model, err := gptblock.New(params, config)
	if err != nil {
		return nil, err
	}
	ids, targets := input(params, "ids", batch), input(params, "targets", batch)
	loss, err := model.Loss(ids, targets)
	if err != nil {
		return nil, err
	}
	program, err := graph.Compile(loss, params)
	if err != nil {
		return nil, err
	}
	defer program.Close()

	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		return nil, err
	}
	adamw, err := solvers.NewAdamW(gs, solvers.WithLR(3e-3), solvers.WithWeightDecay(lambda),
		solvers.WithBetas(0.9, 0.98), solvers.WithSchedule(solvers.Curve{Shape: solvers.ShapeConstant, Warmup: 10}))
	if err != nil {
		return nil, err
	}
	accuracy, done, err := judge(params, config, unseen)
	if err != nil {
		return nil, err
	}
	defer done()

	var points plotter.XYs
	x, y := make([]int32, batch*T), make([]int32, batch*T)
	for step := 1; step <= steps; step++ {
		for b := range batch {
			fill(shown[rng.IntN(len(shown))], x[b*T:], y[b*T:])
		}
		if _, err := program.Step(context.Background(), adamw, graph.Feed{ids: x, targets: y}); err != nil {
			return nil, errors.Wrapf(err, "step %d", step)
		}
		if step%every == 0 || step == steps {
			a, err := accuracy()
			if err != nil {
				return nil, err
			}
			points = append(points, plotter.XY{X: float64(step), Y: a})
		}
	}
	return points, nil
}

// fill writes the question of a pair, and its answer as the only target that
// counts.
func fill(pair int, x, y []int32) {
	a, b := pair/modulus, pair%modulus
	x[0], x[1], x[2] = int32(a), int32(b), equals
	y[0], y[1], y[2] = gptblock.IgnoreIndex, gptblock.IgnoreIndex, int32((a+b)%modulus)
}

// judge makes a function that counts the pairs which the model answers right.
func judge(params *graph.Params, config gptblock.Config, pairs []int) (accuracy func() (float64, error), done func() error, err error) {
	shared, err := params.Share(gorgonia.NewGraph())
	if err != nil {
		return nil, nil, err
	}
	model, err := gptblock.New(shared, config)
	if err != nil {
		return nil, nil, err
	}
	n := len(pairs)
	ids, targets := input(shared, "ids", n), input(shared, "targets", n)
	logits, err := model.Logits(ids) // (n,T,V)
	if err != nil {
		return nil, nil, err
	}
	loss, err := gptblock.CrossEntropy(logits, targets, 0)
	if err != nil {
		return nil, nil, err
	}
	program, err := graph.Compile(loss, shared, graph.ForwardOnly(), graph.Keep(logits))
	if err != nil {
		return nil, nil, err
	}
	x, y := make([]int32, n*T), make([]int32, n*T)
	for i, pair := range pairs {
		fill(pair, x[i*T:], y[i*T:])
	}
	return func() (float64, error) {
		if _, err := program.Eval(context.Background(), graph.Feed{ids: x, targets: y}); err != nil {
			return 0, err
		}
		z, right := program.Value(logits).(*tensor.Dense).Float32s(), 0
		for i := range pairs {
			last := z[(i*T+T-1)*vocab : (i*T+T)*vocab]
			best := 0
			for t := range last {
				if last[t] > last[best] {
					best = t
				}
			}
			if int32(best) == y[i*T+T-1] {
				right++
			}
		}
		return float64(right) / float64(n), nil
	}, program.Close, nil
}

func input(params *graph.Params, name string, b int) *gorgonia.Node {
	return gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(b, T), gorgonia.WithName(name))
}
