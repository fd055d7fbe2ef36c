// Command decaymap trains a small GPT once for every point of a grid of
// learning rate and weight decay, with AdamW and with Adam + L2, and draws the
// validation loss of both as heat maps: the idea of figure 2 of Loshchilov and
// Hutter 2019 (arXiv:1711.05101).
//
//	go run ./examples/decaymap
//
// The text is short and shown many times, so that regularization matters.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

const (
	batch = 16
	T     = 32
)

// method is one way of decay over its own range of coefficients: those of the
// two do not compare.
type method struct {
	name    string
	lambdas []float64
	solver  func(gs *groups.Groups, lr, lambda float64, schedule solvers.Curve) (gorgonia.Solver, error)
}

var methods = []method{
	{"AdamW", powers(2e-4, 2.5, 8), func(gs *groups.Groups, lr, lambda float64, s solvers.Curve) (gorgonia.Solver, error) {
		return solvers.NewAdamW(gs, solvers.WithLR(lr), solvers.WithSchedule(s), solvers.WithWeightDecay(lambda), solvers.WithMode(solvers.Independent), solvers.WithClipGlobalNorm(1))
	}},
	{"Adam + L2", powers(1e-6, 5, 8), newAdamL2},
}

// powers are n numbers, each factor times the one before.
func powers(first, factor float64, n int) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = first * math.Pow(factor, float64(i))
	}
	return xs
}

// newAdamL2 is Gorgonia's Adam with a schedule. It adds lambda w to the
// gradients of the decay group alone, as the policy says for AdamW too.
func newAdamL2(gs *groups.Groups, lr, lambda float64, schedule solvers.Curve) (gorgonia.Solver, error) {
	return solvers.NewGrouped(gs, func(g *groups.Group) (gorgonia.Solver, error) {
		if g.Name == groups.Decay {
			return gorgonia.NewAdamSolver(gorgonia.WithL2Reg(lambda)), nil
		}
		return gorgonia.NewAdamSolver(), nil
	}, solvers.WithBeforeStep(func(step int, _ *groups.Group, s gorgonia.Solver) {
		gorgonia.WithLearnRate(lr * schedule.At(step))(s)
	}), solvers.WithClipGlobalNorm(1))
}

func main() {
	steps := flag.Int("steps", 400, "optimizer steps of each run")
	out := flag.String("out", "decaymap.png", "file of the figure (.png)")
	flag.Parse()
	if err := chart(*steps, *out); err != nil {
		log.Fatal(err)
	}
}

func chart(steps int, out string) error {
	lrs := powers(4e-3, 1.5, 8)
	start := time.Now()
	var maps []*grid
	for _, m := range methods {
		g := &grid{name: m.name, lrs: lrs, lambdas: m.lambdas, loss: make([]float64, len(lrs)*len(m.lambdas))}
		for i, lambda := range m.lambdas {
			for j, lr := range lrs {
				loss, err := run(m, lr, lambda, steps)
				if err != nil {
					return err
				}
				g.loss[i*len(lrs)+j] = loss
			}
		}
		g.tell()
		maps = append(maps, g)
	}
	fmt.Println("training took", time.Since(start).Round(time.Second))
	return drawMaps(maps, out)
}

// run trains once and returns the validation loss; +Inf if training broke down.
func run(m method, lr, lambda float64, steps int) (float64, error) {
	text := dataset.MadeCorpus(150).Text
	tok, err := dataset.NewChars(text)
	if err != nil {
		return 0, err
	}
	ids, err := tok.Encode(text)
	if err != nil {
		return 0, err
	}
	head, tail, err := dataset.Split(dataset.Slice(ids), 0.7)
	if err != nil {
		return 0, err
	}
	shape := dataset.Config{B: batch, T: T, Vocab: tok.Vocab(), Seed: 1}
	training, err := dataset.NewLoader(head, shape)
	if err != nil {
		return 0, err
	}
	shape.Order = dataset.Sequential
	validation, err := dataset.NewLoader(tail, shape)
	if err != nil {
		return 0, err
	}

	params, err := graph.NewParams(gorgonia.NewGraph(), graph.WithSeed(1))
	if err != nil {
		return 0, err
	}
	model, err := gptblock.New(params, gptblock.Config{
		Vocab: tok.Vocab(), Context: T, Layers: 2, Channels: 32, Heads: 2,
		Layout: gptblock.LayoutGPT2, Block: gptblock.BlockPreNorm, Norm: gptblock.NormLayer, NormBias: true, NormEps: 1e-5,
		Bias: true, Activation: gptblock.GELU, Position: gptblock.PositionLearned, Tied: true,
	})
	if err != nil {
		return 0, err
	}
	input := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(params.Graph(), tensor.Int32, gorgonia.WithShape(batch, T), gorgonia.WithName(name))
	}
	x, y := input("ids"), input("targets")
	loss, err := model.Loss(x, y)
	if err != nil {
		return 0, err
	}
	program, err := graph.Compile(loss, params)
	if err != nil {
		return 0, err
	}
	defer program.Close()
	gs, err := groups.Split(params, groups.GPT2Policy())
	if err != nil {
		return 0, err
	}
	solver, err := m.solver(gs, lr, lambda, solvers.WarmupCosine(20, steps, 0))
	if err != nil {
		return 0, err
	}
	xs, ys := make([]int32, batch*T), make([]int32, batch*T)
	feed := graph.Feed{x: xs, y: ys}
	for step := range steps {
		if err := training.Batch(step, 0, xs, ys); err != nil {
			return 0, err
		}
		if _, err := program.Step(context.Background(), solver, feed); err != nil {
			return broken(err)
		}
	}
	var sum, weight float64
	for i := range validation.Len() {
		if err := validation.Batch(i, 0, xs, ys); err != nil {
			return 0, err
		}
		r, err := program.Eval(context.Background(), feed)
		if err != nil {
			return broken(err)
		}
		sum, weight = sum+r.Loss*r.Weight, weight+r.Weight
	}
	return sum / weight, nil
}

// broken is the loss of a corner of the grid that does not train: its numbers
// are not finite. Any other error stays one.
func broken(err error) (float64, error) {
	if errors.Is(err, graph.ErrNonFiniteLoss) || errors.Is(err, solvers.ErrNonFinite) {
		return math.Inf(1), nil
	}
	return 0, err
}

// grid is a map of losses, as gonum's heat map wants it: x is the learning
// rate, y the coefficient, both by index.
type grid struct {
	name         string
	lrs, lambdas []float64
	loss         []float64 // (lambda, lr)
	low, high    float64   // colours end here
}

func (g *grid) Dims() (c, r int)   { return len(g.lrs), len(g.lambdas) }
func (g *grid) X(c int) float64    { return float64(c) }
func (g *grid) Y(r int) float64    { return float64(r) }
func (g *grid) Z(c, r int) float64 { return min(g.loss[r*len(g.lrs)+c], g.high) }

// tell prints the best point and how the best learning rate moves with the
// coefficient.
func (g *grid) tell() {
	best, at := math.Inf(1), 0
	for i, l := range g.loss {
		if l < best {
			best, at = l, i
		}
	}
	fmt.Printf("%s: best validation loss %.4f at lr %.2g, coefficient %.2g\n", g.name, best, g.lrs[at%len(g.lrs)], g.lambdas[at/len(g.lrs)])
	for i, lambda := range g.lambdas {
		row, k := g.loss[i*len(g.lrs):(i+1)*len(g.lrs)], 0
		for j := range row {
			if row[j] < row[k] {
				k = j
			}
		}
		fmt.Printf("  coefficient %-8.2g best lr %-8.2g loss %.4f\n", lambda, g.lrs[k], row[k])
	}
}

// drawMaps puts the maps side by side, in the same colours.
func drawMaps(maps []*grid, out string) error {
	low, high := math.Inf(1), 0.0
	for _, g := range maps {
		for _, l := range g.loss {
			low = min(low, l)
		}
	}
	high = low + 0.5
	row := make([]*plot.Plot, len(maps))
	for i, g := range maps {
		g.low, g.high = low, high
		colors := moreland.SmoothBlueRed()
		colors.SetMin(low)
		colors.SetMax(high)
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text = g.name+": validation loss", "learning rate", "coefficient"
		heat := plotter.NewHeatMap(g, colors.Palette(64))
		heat.Min, heat.Max = low, high
		p.Add(heat)
		p.X.Tick.Marker, p.Y.Tick.Marker = labels(g.lrs), labels(g.lambdas)
		row[i] = p
	}
	img := vgimg.New(26*vg.Centimeter, 12*vg.Centimeter)
	canvases := plot.Align([][]*plot.Plot{row}, draw.Tiles{Rows: 1, Cols: len(row), PadX: vg.Centimeter}, draw.New(img))
	for i, p := range row {
		p.Draw(canvases[0][i])
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(f); err != nil {
		f.Close()
		return err
	}
	fmt.Printf("figure in %s: blue is a loss of %.2f, red %.2f and above\n", out, low, high)
	return f.Close()
}

// labels writes the values under their indices.
func labels(values []float64) plot.ConstantTicks {
	ticks := make(plot.ConstantTicks, len(values))
	for i, v := range values {
		ticks[i] = plot.Tick{Value: float64(i), Label: fmt.Sprintf("%.1g", v)}
	}
	return ticks
}
