package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/train"
)

// runTrain trains, shows what it does, and leaves its results in a folder.
func runTrain(ctx context.Context, args []string, s streams) error {
	o, err := parseOptions(args, s.err)
	if err != nil {
		return err
	}
	talk := s.out // what a person reads
	if o.json {
		talk = io.Discard
	}
	out, err := newFolder(o.out)
	if err != nil {
		return err
	}
	t, err := loadText(&o)
	if err != nil {
		return err
	}
	describeText(talk, t, &o)
	if o.compare {
		return runCompare(ctx, &o, t, out, s, talk)
	}
	m, err := newModel(&o, t)
	if err != nil {
		return err
	}
	defer m.close()
	gs, err := o.Exp.Recipe.Groups(m.params)
	if err != nil {
		return err
	}
	solver, err := o.Exp.Recipe.Solver(gs)
	if err != nil {
		return err
	}
	describeModel(talk, m)
	if err := reportGroups(talk, solver, o.verbose); err != nil {
		return err
	}
	if err := m.writeBefore(out, solver); err != nil {
		return err
	}
	metrics, err := os.Create(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		return errors.Wrap(err, "-out")
	}
	defer metrics.Close()
	bar, curve := newConsole(s.err, o.Loop.Steps), &curves{}
	observers := []train.Observer{train.NewJSONL(metrics), bar, curve}
	if o.json {
		observers = append(observers, train.NewJSONL(s.out))
	}
	sum, err := m.run(solver, observers...).Train(ctx)
	bar.done()
	if err != nil {
		return err
	}
	if err := drawLoss(filepath.Join(out, "loss.png"), []series{{"", curve}}); err != nil {
		return err
	}
	sample, err := m.generate(o.sample)
	if err != nil {
		return err
	}
	if err := m.finish(out, sum, sample, s, talk); err != nil {
		return err
	}
	if sum.Stopped == train.Interrupted {
		return errInterrupted
	}
	return nil
}

// newFolder makes the folder for results, a temporary one if none is named.
func newFolder(path string) (string, error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "gorget-")
		return dir, errors.Wrap(err, "folder for results")
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", errors.Wrap(err, "-out")
	}
	probe, err := os.CreateTemp(path, ".probe-")
	if err != nil {
		return "", errors.Wrap(err, "-out")
	}
	probe.Close()
	return path, errors.Wrap(os.Remove(probe.Name()), "-out")
}

func describeText(w io.Writer, t *text, o *options) {
	fmt.Fprintf(w, "text     %s, %d characters\n", t.corpus.Source, len(t.corpus.Text))
	if t.corpus.Made {
		fmt.Fprintf(w, "         (no text was found on this machine, so the program made one; name yours with -data)\n")
	}
	fmt.Fprintf(w, "tokens   %d to train on, %d to validate with, vocabulary %d (%s)\n", t.train.Tokens(), t.valTokens, t.tok.Vocab(), t.tok.Kind())
}

func describeModel(w io.Writer, m *model) {
	r, e := m.o.Exp.Recipe, m.o.Exp
	fmt.Fprintf(w, "model    %s\n", m.gpt.Config.Describe())
	fmt.Fprintf(w, "recipe   %s, %d steps of %d tokens, lr %g, weight decay %g (%v), clip %g\n\n",
		r.Optimizer, e.Steps, e.Batch*e.Time*e.Micro, r.LR, r.WeightDecay, r.Mode, r.Clip)
}

// reportGroups prints which parameters decay and why, at the peak of the
// learning rate.
func reportGroups(w io.Writer, solver presets.Solver, all bool) error {
	report, err := solver.Report(peak(solver))
	if err != nil {
		return err
	}
	if !all {
		report = report.Folded()
	}
	if err := report.WriteText(w); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w)
	return err
}

// peak is the first step with the highest learning rate.
func peak(solver presets.Solver) int {
	best, at := 0.0, 1
	for step := 1; step <= 10000; step++ {
		rows, err := solver.PlanStep(step)
		if err != nil {
			break
		}
		if lr := rows[0].LR; lr > best {
			best, at = lr, step
		}
	}
	return at
}

// writeBefore leaves what is known before training: the options, the groups,
// the plan of learning rates, the drawing of the graph.
func (m *model) writeBefore(out string, solver presets.Solver) error {
	write := func(name string, f func(io.Writer) error) error {
		file, err := os.Create(filepath.Join(out, name))
		if err != nil {
			return errors.Wrap(err, "-out")
		}
		if err := f(file); err != nil {
			file.Close()
			return err
		}
		return errors.Wrap(file.Close(), "-out")
	}
	report, err := solver.Report(peak(solver))
	if err != nil {
		return err
	}
	plan, err := solver.Plan(m.o.Loop.Steps)
	if err != nil {
		return err
	}
	groupOf := func(p *graph.Param) string { return solver.Groups().Of(p).Name }
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"run.json", func(w io.Writer) error { return writeJSON(w, m.o, "  ") }},
		{"groups.md", report.WriteMarkdown},
		{"plan.csv", plan.WriteCSV},
		{"graph.dot", func(w io.Writer) error { return graph.WriteDOT(w, m.loss, m.params, groupOf) }},
	} {
		if err := write(f.name, f.write); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", indent)
	return errors.Wrap(enc.Encode(v), "JSON")
}

// finish tells how the run ended.
func (m *model) finish(out string, sum train.Summary, sample string, s streams, talk io.Writer) error {
	speed := float64(sum.Tokens) / max(sum.Training.Seconds(), 1e-9)
	fmt.Fprintf(talk, "%s after %d steps: training loss %.4f, validation loss %.4f (best %.4f at step %d)\n",
		sum.Stopped, sum.Steps, sum.Loss, sum.ValLoss, sum.BestLoss, sum.BestStep)
	fmt.Fprintf(talk, "%v of training, %.0f tokens/s\n", sum.Training.Round(10*time.Millisecond), speed)
	if sum.Skipped > 0 {
		fmt.Fprintf(talk, "%d steps were skipped\n", sum.Skipped)
	}
	if sample != "" {
		fmt.Fprintf(talk, "\nthe model writes:\n%s\n\n", sample)
	}
	fmt.Fprintf(talk, "results in %s: run.json loss.png metrics.jsonl groups.md graph.dot plan.csv\n", out)
	if !m.o.json {
		return nil
	}
	return writeJSON(s.out, struct {
		Summary train.Summary `json:"summary"`
		Speed   float64       `json:"tokens_per_second"`
		Sample  string        `json:"sample"`
		Out     string        `json:"out"`
	}{sum, speed, sample, out}, "")
}
