package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// runVerifyResume trains a few steps of a run twice, once in one go and once
// stopped and resumed from a checkpoint on disk, and compares every bit.
func runVerifyResume(ctx context.Context, args []string, s streams) error {
	stop, folder := 0, ""
	var begin start
	o, err := parseOptions("verify-resume", args, s.err, func(fs *flag.FlagSet) {
		begin.flags(fs)
		fs.StringVar(&folder, "run", folder, "folder of a run whose options to take, with fewer steps")
		fs.IntVar(&stop, "stop", stop, "the step to stop after; 0 is half of -steps")
	}, func() (options, error) {
		o, err := begin.options(shortOptions())
		if folder != "" && begin != (start{}) {
			err = usagef("-run excludes -config, -model and -preset")
		} else if folder != "" {
			o, err = runOptions(folder, s.err)
		}
		o.shorten()
		return o, err
	})
	if err != nil {
		return err
	}
	if stop == 0 {
		stop = (o.Loop.Steps + 1) / 2
	}
	if stop < 1 || stop >= o.Loop.Steps {
		return usagef("-stop = %d, want 1 to -steps - 1 = %d", stop, o.Loop.Steps-1)
	}
	out, err := os.MkdirTemp("", "gorget-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)

	whole, err := endOf(ctx, o, filepath.Join(out, "whole"), 0)
	if err != nil {
		return err
	}
	resumed, err := endOf(ctx, o, filepath.Join(out, "resumed"), stop)
	if err != nil {
		return err
	}
	diffs := whole.compare(resumed)
	if o.json {
		if err := writeJSON(s.out, map[string]any{"equal": len(diffs) == 0, "steps": o.Loop.Steps, "stop": stop, "differences": diffs}, ""); err != nil {
			return err
		}
	}
	if len(diffs) > 0 {
		return errors.Errorf("a run stopped after step %d and resumed differs from one of %d steps in one go: %v", stop, o.Loop.Steps, diffs)
	}
	fmt.Fprintf(s.talk(&o), "equal: %d steps in one go, and stopped after step %d and resumed: all weights, optimizer state and metrics have the same bits\n", o.Loop.Steps, stop)
	return nil
}

// shortOptions are the defaults of verify-resume: everything that has a state
// is on.
func shortOptions() options {
	o := defaultOptions()
	o.Exp.Recipe.Schedule.Steps += 20 - o.Exp.Steps
	o.Exp.Recipe.Schedule.Warmup, o.Exp.Steps = 4, 20
	o.Exp.Config.EmbeddingDropout, o.Exp.Config.AttentionDropout, o.Exp.Config.ResidualDropout = 0.1, 0.1, 0.1
	o.EvalTok = 4096
	return o
}

// shorten makes the run a short one that does everything that a long one does.
// Its schedules stay those of the long one.
func (o *options) shorten() {
	o.Exp.Steps = min(o.Exp.Steps, 20)
	o.Loop.EvalEvery, o.Loop.InspectEvery = 5, 3
}

// ending is what a run leaves.
type ending struct {
	weights map[string][]byte
	state   solvers.State
	metrics []map[string]any
}

// endOf trains in the folder out; with stop > 0 it does so in two sessions that
// share nothing but the disk.
func endOf(ctx context.Context, o options, out string, stop int) (*ending, error) {
	if _, err := newFolder(out); err != nil {
		return nil, err
	}
	if stop > 0 {
		if err := session(ctx, o, out, stop, nil); err != nil {
			return nil, err
		}
	}
	end := &ending{}
	return end, session(ctx, o, out, 0, end)
}

// session trains until stop steps are done, or to the end if stop is 0; then it
// fills end.
func session(ctx context.Context, o options, out string, stop int, end *ending) error {
	j, err := newJob(&o, out)
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.openStore(); err != nil {
		return err
	}
	saved, _, err := j.store.Latest()
	steps := 0
	if err == nil {
		steps = saved.Step()
	}
	if err := j.openMetrics(steps, io.Discard); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := j.run(append(j.metrics.observers, &stopper{at: stop, cancel: cancel})...)
	if steps > 0 {
		err = j.restore(saved, r)
	} else {
		err = j.loadWeights()
	}
	if err != nil {
		return err
	}
	sum, err := r.Train(ctx)
	if err != nil {
		return err
	}
	if sum.Stopped == train.Interrupted && stop == 0 {
		return errInterrupted
	}
	if end == nil {
		return nil
	}
	return end.take(j)
}

// stopper interrupts a run after a step.
type stopper struct {
	train.Nothing
	at     int
	cancel func()
}

// Step interrupts.
func (s *stopper) Step(rec train.Step) error {
	if rec.Step == s.at {
		s.cancel()
	}
	return nil
}

// take copies what the run left.
func (e *ending) take(j *job) error {
	e.weights, e.state = map[string][]byte{}, j.solver.State()
	for _, p := range j.model.params.All() {
		f32, _, err := graph.Floats(p.Value())
		if err != nil {
			return err
		}
		e.weights[p.Name()] = bitsOf(f32)
	}
	lines, err := os.ReadFile(j.path("metrics.jsonl"))
	if err != nil {
		return err
	}
	for _, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
		var row map[string]any
		if err := json.Unmarshal(line, &row); err != nil {
			return errors.Wrap(err, "metrics.jsonl")
		}
		delete(row, "tokens_per_second") // the clock on the wall is no result
		e.metrics = append(e.metrics, row)
	}
	return nil
}

func bitsOf(xs []float32) []byte {
	out := make([]byte, 0, 4*len(xs))
	for _, x := range xs {
		b := math.Float32bits(x)
		out = append(out, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	return out
}

// compare names what differs.
func (e *ending) compare(o *ending) (diffs []string) {
	for name, w := range e.weights {
		if !bytes.Equal(w, o.weights[name]) {
			diffs = append(diffs, "weight "+name)
		}
	}
	for name, a := range e.state.Params {
		b := o.state.Params[name]
		if a.Step != b.Step {
			diffs = append(diffs, "step of "+name)
		}
		for moment, x := range a.Tensors {
			y := b.Tensors[moment]
			if y == nil || !bytes.Equal(bitsOf(x.Float32s()), bitsOf(y.Float32s())) {
				diffs = append(diffs, moment+" of "+name)
			}
		}
	}
	a, errA := json.Marshal(e.metrics)
	b, errB := json.Marshal(o.metrics)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		diffs = append(diffs, "metrics")
	}
	slices.Sort(diffs)
	return diffs
}
