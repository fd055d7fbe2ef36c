package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/train"
)

// runTrain trains, shows what it does, and leaves its results in a folder.
func runTrain(ctx context.Context, args []string, s streams) error {
	var begin start
	var out string
	var compare bool
	o, err := parseOptions("train", args, s.err, func(fs *flag.FlagSet) {
		begin.flags(fs)
		fs.StringVar(&out, "out", out, "folder for the results (default: a new one under the system's temporary folder)")
		fs.BoolVar(&compare, "compare", compare, "train three times: stock Adam + L2, AdamW that decays everything, AdamW with groups")
	}, func() (options, error) { return begin.options(defaultOptions()) })
	if err != nil {
		return err
	}
	if exists(filepath.Join(out, "run.json")) {
		return usagef("-out = %s has a run in it: go on with that by %s, or name another folder", out, resumeCommand(out))
	}
	if compare {
		return runCompare(ctx, &o, out, s)
	}
	j, err := newJob(&o, out)
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.loadWeights(); err != nil {
		return err
	}
	if j.out, err = newFolder(out); err != nil { // nothing was made until here
		return err
	}
	if err := j.openStore(); err != nil {
		return err
	}
	talk := s.talk(&o)
	describeText(talk, j.text)
	if err := describeModel(talk, j.model); err != nil {
		return err
	}
	if err := reportGroups(talk, j.solver, &o); err != nil {
		return err
	}
	if err := j.describe(); err != nil {
		return err
	}
	return j.show(ctx, 0, nil, s)
}

// show trains while a person watches and tells how it ended. A run that goes on
// after done steps is put there by begin.
func (j *job) show(ctx context.Context, done int, begin func(*train.Run) error, s streams) error {
	if err := j.openMetrics(done, s.err); err != nil {
		return err
	}
	bar := newConsole(s.err, j.o.Loop.Steps)
	observers := append(j.metrics.observers, bar)
	if j.o.json {
		observers = append(observers, train.NewJSONL(s.out))
	}
	r := j.run(observers...)
	if begin != nil {
		if err := begin(r); err != nil {
			return err
		}
	}
	sum, err := j.train(ctx, r, bar)
	if err != nil {
		if _, _, none := j.store.Latest(); none == nil {
			fmt.Fprintln(s.err, "the run is kept; go on with:", resumeCommand(j.out))
		}
		return err
	}
	sample, stopped := "", error(nil)
	if sum.Stopped == train.Interrupted {
		stopped = errInterrupted
	} else if sample, err = j.model.generate(ctx, j.o.Sample); errors.Is(err, errInterrupted) {
		stopped = err // the training is done: tell of it
	} else if err != nil {
		return err
	}
	if err := j.finish(sum, sample, s); err != nil {
		return err
	}
	return stopped
}

// resumeCommand goes on with the run in a folder.
func resumeCommand(out string) string {
	if !regexp.MustCompile(`^[\w/.-]+$`).MatchString(out) {
		out = "'" + strings.ReplaceAll(out, "'", `'\''`) + "'" // for the shell
	}
	return "go run ./cmd/demo resume -run " + out
}

// talk is where text for a person goes: nowhere with -json.
func (s streams) talk(o *options) io.Writer {
	if o.json {
		return io.Discard
	}
	return s.out
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

func describeText(w io.Writer, t *text) {
	fmt.Fprintf(w, "text     %s\n", t.source)
	if t.made {
		fmt.Fprintf(w, "         (no text was found on this machine, so the program made one; name yours with -data)\n")
	}
	fmt.Fprintf(w, "tokens   %d to train on, %d to validate with, vocabulary %d (%s)\n", t.head.Len(), t.tail.Len(), t.tok.Vocab(), t.tok.Kind())
}

func describeModel(w io.Writer, m *model) error {
	r, e := m.o.Exp.Recipe, m.o.Exp
	if err := describePreset(w, m.o); err != nil {
		return err
	}
	fmt.Fprintf(w, "model    %s\n", m.gpt.Config.Describe())
	_, err := fmt.Fprintf(w, "recipe   %s, %d steps of %d tokens, lr %g, weight decay %s, clip %g\n\n",
		r.Optimizer, e.Steps, e.Batch*e.Time*e.Micro, r.LR, decayText(r), r.Clip)
	return err
}

// reportGroups prints which parameters decay and why, at the peak of the
// learning rate.
func reportGroups(w io.Writer, solver presets.Solver, o *options) error {
	report, err := solver.Report(peak(solver, o.Loop.Steps))
	if err != nil {
		return err
	}
	if !o.verbose {
		report = report.Folded()
	}
	if err := report.WriteText(w); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w)
	return err
}

// peak is the first step of a run with its highest learning rate.
func peak(solver presets.Solver, steps int) int {
	best, at := 0.0, 1
	for step := 1; step <= steps; step++ {
		if rows, err := solver.PlanStep(step); err == nil && rows[0].LR > best {
			best, at = rows[0].LR, step
		}
	}
	return at
}

// finish tells how the run ended.
func (j *job) finish(sum train.Summary, sample string, s streams) error {
	w := s.talk(j.o)
	speed := float64(sum.Tokens) / max(sum.Training.Seconds(), 1e-9)
	fmt.Fprintf(w, "%s after %d steps: training loss %.4f, validation loss %.4f (best %.4f at step %d)\n",
		sum.Stopped, sum.Steps, sum.Loss, sum.ValLoss, sum.BestLoss, sum.BestStep)
	fmt.Fprintf(w, "%v of training, %.0f tokens/s\n", sum.Training.Round(10*time.Millisecond), speed)
	if sum.Skipped > 0 {
		fmt.Fprintf(w, "%d steps were skipped\n", sum.Skipped)
	}
	if sample != "" {
		fmt.Fprintf(w, "\nthe model writes:\n%s\n\n", sample)
	}
	fmt.Fprintf(w, "results in %s: loss.%s metrics.jsonl groups.md graph.dot and more\n", j.out, j.o.Figures)
	if sum.BestStep > 0 && sum.BestStep < sum.Steps {
		fmt.Fprintf(w, "the best weights, of step %d, are kept: sample -best and eval -best take them\n", sum.BestStep)
	}
	if sum.Stopped == train.Interrupted {
		fmt.Fprintln(s.err, "go on with:", resumeCommand(j.out))
	}
	if !j.o.json {
		return nil
	}
	return writeJSON(s.out, struct {
		Summary train.Summary `json:"summary"`
		Speed   float64       `json:"tokens_per_second"`
		Sample  string        `json:"sample"`
		Out     string        `json:"out"`
	}{sum, speed, sample, j.out}, "")
}
