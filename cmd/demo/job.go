package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/presets"
	"github.com/gorget/gorget/train"
)

// job is a training run with a folder of its own:
//
//	run.json       the options
//	tokenizer.json
//	groups.md      which parameters decay, and why
//	plan.csv       learning rate and decay of every step
//	graph.dot      the forward graph
//	metrics.jsonl  what happened
//	loss.png
//	checkpoints/   the last few, to go on from
type job struct {
	o      *options
	out    string
	text   *text
	model  *model
	solver presets.Solver
	store  *checkpoint.Store
	corpus string // fingerprint of the training tokens
	curves *curves
}

// newJob reads the text and builds the model; nothing is written yet.
func newJob(o *options, out string) (*job, error) {
	j := &job{o: o, out: out, curves: &curves{}}
	var err error
	if j.text, err = loadText(o); err != nil {
		return nil, err
	}
	return j, j.build()
}

// build makes the model and its solver for the text that was read.
func (j *job) build() (err error) {
	if j.corpus, err = dataset.Fingerprint(j.text.head); err != nil {
		return err
	}
	if j.model, err = newModel(j.o, j.text); err != nil {
		return err
	}
	gs, err := j.o.Exp.Recipe.Groups(j.model.params)
	if err != nil {
		return err
	}
	j.solver, err = j.o.Exp.Recipe.Solver(gs)
	return err
}

func (j *job) close() {
	j.model.close()
	j.text.close()
}

func (j *job) path(name string) string { return filepath.Join(j.out, name) }

// openStore opens the run's checkpoints.
func (j *job) openStore() (err error) {
	j.store, err = checkpoint.NewStore(j.path("checkpoints"), j.o.keep)
	return err
}

// describe writes what is known before training.
func (j *job) describe() error {
	report, err := j.solver.Report(peak(j.solver, j.o.Loop.Steps))
	if err != nil {
		return err
	}
	plan, err := j.solver.Plan(j.o.Loop.Steps)
	if err != nil {
		return err
	}
	groupOf := func(p *graph.Param) string { return j.solver.Groups().Of(p).Name }
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"run.json", func(w io.Writer) error { return writeJSON(w, j.o, "  ") }},
		{"groups.md", report.WriteMarkdown},
		{"plan.csv", plan.WriteCSV},
		{"graph.dot", func(w io.Writer) error { return graph.WriteDOT(w, j.model.loss, j.model.params, groupOf) }},
	} {
		if err := writeFile(j.path(f.name), f.write); err != nil {
			return err
		}
	}
	return dataset.SaveTokenizer(j.path("tokenizer.json"), j.text.tok)
}

// run makes the training run; metrics are appended to metrics.jsonl.
func (j *job) run(metrics io.Writer, observers ...train.Observer) *train.Run {
	r := j.model.run(j.solver, append([]train.Observer{train.NewJSONL(metrics), j.curves}, observers...)...)
	r.Save = j.save
	return r
}

// save makes a checkpoint.
func (j *job) save(s train.State, _ bool) error {
	snap := checkpoint.Snapshot{
		Step: s.Step, Params: j.model.params, Solver: j.solver.StateView(),
		Config: j.o, State: s, Corpus: j.corpus,
	}
	if s.Average != nil {
		snap.Tensors = map[string]map[string]gorgonia.Value{"ema": s.Average}
	}
	_, err := j.store.Save(snap)
	return err
}

// restore puts the job where a checkpoint was taken.
func (j *job) restore(saved *checkpoint.Saved, r *train.Run) error {
	var s train.State
	if err := saved.State(&s); err != nil {
		return err
	}
	if j.o.Loop.EMA > 0 {
		var err error
		if s.Average, err = saved.Tensors("ema"); err != nil {
			return err
		}
	}
	if err := saved.Restore(j.model.params, j.solver); err != nil {
		return err
	}
	return r.Resume(s)
}

// start opens an empty metrics.jsonl.
func (j *job) start() (*os.File, error) {
	f, err := os.Create(j.path("metrics.jsonl"))
	return f, errors.Wrap(err, "-out")
}

// goOn opens metrics.jsonl behind the records of the first steps steps; later
// ones, of steps that will be done again, are dropped.
func (j *job) goOn(steps int) (*os.File, error) {
	old, err := os.ReadFile(j.path("metrics.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		return nil, errors.Wrap(err, "metrics.jsonl")
	}
	kept := j.curves.replay(old, steps)
	f, err := os.Create(j.path("metrics.jsonl"))
	if err != nil {
		return nil, errors.Wrap(err, "metrics.jsonl")
	}
	if _, err := f.Write(kept); err != nil {
		f.Close()
		return nil, errors.Wrap(err, "metrics.jsonl")
	}
	return f, nil
}

// train runs to the end and draws the loss.
func (j *job) train(ctx context.Context, r *train.Run, bar *console) (train.Summary, error) {
	sum, err := r.Train(ctx)
	bar.done()
	if err != nil {
		return sum, err
	}
	return sum, drawLoss(j.path("loss.png"), []series{{"", j.curves}})
}

// writeFile makes a file by a function.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return errors.Wrap(err, "-out")
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return errors.Wrap(f.Close(), "-out")
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", indent)
	return errors.Wrap(enc.Encode(v), "JSON")
}
