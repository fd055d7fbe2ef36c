package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot/plotter"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// contender is one way of weight decay.
type contender struct {
	name  string
	about string
	build func(r presets.Recipe, ps *graph.Params) (gorgonia.Solver, error)
}

var contenders = []contender{
	{"stock Adam + L2", "gorgonia.AdamSolver: lambda w is added to the gradient of every parameter", newStockAdam},
	{"AdamW, all decay", "decoupled decay of every parameter, norms and biases too", func(r presets.Recipe, ps *graph.Params) (gorgonia.Solver, error) {
		r.Policy = groups.DecayAllPolicy().Name
		return recipeSolver(r, ps)
	}},
	{"AdamW, groups", "decoupled decay of what the policy names", recipeSolver},
}

func recipeSolver(r presets.Recipe, ps *graph.Params) (gorgonia.Solver, error) {
	gs, err := r.Groups(ps)
	if err != nil {
		return nil, err
	}
	return r.Solver(gs)
}

// stockAdam is Gorgonia's Adam with coupled L2, with the recipe's schedule and
// its clip of the global norm, so that nothing but the decay differs.
type stockAdam struct {
	*solvers.Grouped
	recipe presets.Recipe
}

func newStockAdam(r presets.Recipe, ps *graph.Params) (gorgonia.Solver, error) {
	gs, err := groups.Split(ps, groups.DecayAllPolicy())
	if err != nil {
		return nil, err
	}
	opts := []solvers.GroupedOption{solvers.WithBeforeStep(func(step int, _ *groups.Group, s gorgonia.Solver) {
		gorgonia.WithLearnRate(r.LR * r.Schedule.At(step))(s)
	})}
	if r.Clip > 0 {
		opts = append(opts, solvers.WithClipGlobalNorm(r.Clip))
	}
	grouped, err := solvers.NewGrouped(gs, func(*groups.Group) (gorgonia.Solver, error) {
		return gorgonia.NewAdamSolver(gorgonia.WithBeta1(r.Beta1), gorgonia.WithBeta2(r.Beta2),
			gorgonia.WithEps(r.Eps), gorgonia.WithL2Reg(r.WeightDecay)), nil
	}, opts...)
	return &stockAdam{grouped, r}, err
}

// PlanStep tells the learning rate; L2 has no shrink of its own.
func (s *stockAdam) PlanStep(step int) (solvers.Plan, error) {
	return solvers.Plan{{Step: step, Group: "all", Rate: groups.Rate{LR: s.recipe.LR * s.recipe.Schedule.At(step), Lambda: s.recipe.WeightDecay}}}, nil
}

// norms follows the norms of the classes of parameters over a run.
type norms struct {
	train.Nothing
	params *graph.Params
	every  int
	series map[graph.Class]plotter.XYs
}

// Step measures every so many steps.
func (n *norms) Step(s train.Step) error {
	if s.Step != 1 && s.Step%n.every != 0 {
		return nil
	}
	squares := map[graph.Class]float64{}
	for _, p := range n.params.All() {
		f32, _, err := graph.Floats(p.Value())
		if err != nil {
			return err
		}
		for _, x := range f32 {
			squares[p.Role().Class()] += float64(x) * float64(x)
		}
	}
	for class, sum := range squares {
		n.series[class] = append(n.series[class], plotter.XY{X: float64(s.Step), Y: math.Sqrt(sum)})
	}
	return nil
}

// runCompare trains the same model from the same start on the same batches
// with each contender. A Ctrl-C ends it with what was reached.
func runCompare(ctx context.Context, o *options, out string, s streams) error {
	for f, asked := range map[string]bool{"keep": true, "save-every": o.Loop.SaveEvery > 0, "sample": o.Sample > 0, "inspect-every": o.Loop.InspectEvery > 0} {
		if asked && o.given[f] {
			return usagef("-%s does not go with -compare, which keeps no checkpoints, writes no sample and does not look into steps", f)
		}
	}
	switch {
	case o.Model != "":
		return usagef("-compare trains new models, it does not go with -model")
	case o.Exp.Recipe.Optimizer != presets.AdamW:
		return usagef("-compare is about AdamW, and %s was trained by %s; there is -recipe claimed", o.Preset, o.Exp.Recipe.Optimizer)
	}
	t, err := loadText(o)
	if err != nil {
		return err
	}
	defer t.close()
	if out, err = newFolder(out); err != nil {
		return err
	}
	talk := s.talk(o)
	describeText(talk, t)
	if !o.Exp.Config.Bias && o.Preset == "" {
		o.Exp.Config.Bias, o.Exp.Config.NormBias = true, true
		fmt.Fprintln(talk, "         (biases are on: the comparison shows what decay does to them)")
	}
	o.Loop.InspectEvery = 0 // stock Adam cannot be looked into
	var all []series
	var followed []*norms
	for i, c := range contenders {
		run, follow, sum, err := compete(ctx, o, t, c, i, out, s)
		if err != nil {
			return err
		}
		all, followed = append(all, series{c.name, run}), append(followed, follow)
		fmt.Fprintf(talk, "%-17s training loss %.4f, validation loss %.4f   (%s)\n", c.name, sum.Loss, sum.ValLoss, c.about)
		if o.json {
			if err := writeJSON(s.out, map[string]any{"solver": c.name, "summary": sum}, ""); err != nil {
				return err
			}
		}
		if sum.Stopped == train.Interrupted {
			break
		}
	}
	files, err := drawComparison(out, o.Figures, all, followed)
	if err != nil {
		return err
	}
	tellNorms(talk, followed)
	fmt.Fprintf(talk, "\nresults in %s: %s metrics-*.jsonl groups.md graph.dot run.json\n", out, strings.Join(files, " "))
	if o.json {
		if err := writeJSON(s.out, map[string]any{"out": out, "figures": files}, ""); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}

// classes are those whose norms the comparison follows.
var classes = []graph.Class{graph.ClassNorm, graph.ClassBias, graph.ClassMatrix, graph.ClassEmbedding}

// drawComparison draws the losses, and the norms of each class that the model
// has, and returns the names of the files.
func drawComparison(out, format string, all []series, followed []*norms) ([]string, error) {
	files := []string{"loss." + format}
	if err := drawLoss(filepath.Join(out, files[0]), all); err != nil {
		return nil, err
	}
	for _, class := range classes {
		p := newPlot(fmt.Sprintf("norm of all parameters of class %v", class), "step", "L2 norm")
		drawn := false
		for i, f := range followed {
			if line := f.series[class]; len(line) > 0 {
				drawn = true
				if err := addRun(p, contenders[i].name, "", line, nil, runColors[i]); err != nil {
					return nil, err
				}
			}
		}
		if !drawn {
			continue
		}
		name := fmt.Sprintf("norm-%v.%s", class, format)
		if err := save(p, filepath.Join(out, name)); err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	return files, nil
}

// compete trains contender number i. Before the first, all that is known is
// written.
func compete(ctx context.Context, o *options, t *text, c contender, i int, out string, s streams) (*curves, *norms, train.Summary, error) {
	fail := func(err error) (*curves, *norms, train.Summary, error) { return nil, nil, train.Summary{}, err }
	m, err := newModel(o, t)
	if err != nil {
		return fail(err)
	}
	defer m.close()
	if i == 0 {
		if err := describeComparison(out, o, m, s.talk(o)); err != nil {
			return fail(err)
		}
	}
	solver, err := c.build(o.Exp.Recipe, m.params)
	if err != nil {
		return fail(err)
	}
	name := strings.NewReplacer(" ", "-", ",", "", "+", "and").Replace(strings.ToLower(c.name))
	file, err := os.Create(filepath.Join(out, "metrics-"+name+".jsonl"))
	if err != nil {
		return fail(errors.Wrap(err, "-out"))
	}
	defer file.Close()
	fmt.Fprintf(s.err, "%s\n", c.name)
	bar, curve := newConsole(s.err, o.Loop.Steps), &curves{}
	follow := &norms{params: m.params, every: max(1, o.Loop.Steps/50), series: map[graph.Class]plotter.XYs{}}
	sum, err := m.run(solver, train.NewJSONL(file), bar, curve, follow).Train(ctx)
	bar.done()
	return curve, follow, sum, err
}

// describeComparison tells of the model and of the groups that the last
// contender has.
func describeComparison(out string, o *options, m *model, talk io.Writer) error {
	if err := describeModel(talk, m); err != nil {
		return err
	}
	gs, err := o.Exp.Recipe.Groups(m.params)
	if err != nil {
		return err
	}
	solver, err := o.Exp.Recipe.Solver(gs)
	if err != nil {
		return err
	}
	if err := reportGroups(talk, solver, o); err != nil {
		return err
	}
	return describeRun(out, o, m, solver)
}

// tellNorms prints the norms at the end.
func tellNorms(w io.Writer, followed []*norms) {
	fmt.Fprintf(w, "\n%-17s %12s %12s %12s %12s\n", "norm at the end", graph.ClassNorm, graph.ClassBias, graph.ClassMatrix, graph.ClassEmbedding)
	for i, f := range followed {
		fmt.Fprintf(w, "%-17s", contenders[i].name)
		for _, class := range classes {
			if line := f.series[class]; len(line) > 0 {
				fmt.Fprintf(w, " %12.4f", line[len(line)-1].Y)
			} else {
				fmt.Fprintf(w, " %12s", "-")
			}
		}
		fmt.Fprintln(w)
	}
}
