package main

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/checkpoint/hf"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/atomicfile"
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
//	metrics.jsonl  what happened; also as metrics.csv and as TensorBoard's events.out.tfevents
//	loss.png       and rates.png, norms.png, updates.png; .svg with -figures svg
//	checkpoints/   the last few, to go on from, and the best; each a model's folder too
type job struct {
	o      *options
	out    string
	text   *text
	model  *model
	solver presets.Solver
	store  *checkpoint.Store
	corpus string // fingerprint of the training tokens

	metrics *metrics
	curves  *curves
}

// newJob reads the text and builds the model; nothing is written yet.
func newJob(o *options, out string) (*job, error) {
	j := &job{o: o, out: out, curves: &curves{}}
	var err error
	if j.text, err = loadText(o); err != nil {
		return nil, err
	}
	if err := j.build(); err != nil {
		j.close()
		return nil, err
	}
	return j, nil
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
	if j.metrics != nil {
		j.metrics.close()
	}
	if j.model != nil {
		j.model.close()
	}
	j.text.close()
}

func (j *job) path(name string) string { return filepath.Join(j.out, name) }

// openStore opens the run's checkpoints.
func (j *job) openStore() (err error) {
	j.store, err = checkpoint.NewStore(j.path("checkpoints"), j.o.Keep)
	return err
}

// describe writes what is known before training.
func (j *job) describe() error {
	if err := describeRun(j.out, j.o, j.model, j.solver); err != nil {
		return err
	}
	return dataset.SaveTokenizer(j.path("tokenizer.json"), j.text.tok)
}

// describeRun writes the options of a run, its groups, plan and graph.
func describeRun(out string, o *options, m *model, solver presets.Solver) error {
	report, err := solver.Report(peak(solver, o.Loop.Steps))
	if err != nil {
		return err
	}
	plan, err := solver.Plan(o.Loop.Steps)
	if err != nil {
		return err
	}
	groupOf := func(p *graph.Param) string { return solver.Groups().Of(p).Name }
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"run.json", func(w io.Writer) error { return writeJSON(w, o, "  ") }},
		{"groups.md", report.WriteMarkdown},
		{"plan.csv", plan.WriteCSV},
		{"graph.dot", func(w io.Writer) error { return graph.WriteDOT(w, m.loss, m.params, groupOf) }},
	} {
		if err := writeFile(filepath.Join(out, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// run makes the training run.
func (j *job) run(observers ...train.Observer) *train.Run {
	r := j.model.run(j.solver, append(observers, j.curves)...)
	r.Save = j.save
	return r
}

// save makes a checkpoint. The metrics before it reach the disk first.
func (j *job) save(s train.State, best bool) error {
	if err := j.metrics.sync(); err != nil {
		return err
	}
	snap := checkpoint.Snapshot{
		Step: s.Step, Params: j.model.params, Solver: j.solver.StateView(),
		Config: j.o, State: s, Corpus: j.corpus, Best: best,
	}
	// With it, the checkpoint's folder is a model that other programs load.
	config, err := hf.ConfigJSON(j.o.Exp.Config, nil)
	if err != nil {
		return err
	}
	tok, err := dataset.MarshalTokenizer(j.text.tok)
	if err != nil {
		return err
	}
	snap.Files = map[string][]byte{"config.json": config, tokenizerFile: tok}
	if s.Average != nil {
		snap.Tensors = map[string]map[string]gorgonia.Value{"ema": s.Average}
	}
	_, err = j.store.Save(snap)
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

// train runs to the end and draws the figures.
func (j *job) train(ctx context.Context, r *train.Run, bar *console) (train.Summary, error) {
	sum, err := r.Train(ctx)
	bar.done()
	if err != nil {
		return sum, err
	}
	return sum, j.draw()
}

func (j *job) draw() error {
	name := func(s string) string { return j.path(s + "." + j.o.Figures) }
	if err := drawLoss(name("loss"), []series{{"", j.curves}}); err != nil {
		return err
	}
	if err := drawRates(name("rates"), j.curves); err != nil {
		return err
	}
	if err := drawInside(name("norms"), "norm of the weights by role", j.curves, func(x train.Inside) float64 { return x.WeightNorm }); err != nil {
		return err
	}
	return drawInside(name("updates"), "update-to-weight ratio by role", j.curves, func(x train.Inside) float64 { return x.UpdateRatio })
}

// writeFile makes a file by a function, or leaves the one that was there.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return errors.Wrap(err, "-out")
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	return errors.Wrap(f.Commit(), "-out")
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", indent)
	return errors.Wrap(enc.Encode(v), "JSON")
}
