package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/train"
)

// runResume goes on with a run from its last good checkpoint. The options are
// those of its run.json, with the flags on top; if they are not those of the
// checkpoint, it asks which side wins. A run that was stopped before its first
// checkpoint begins again.
func runResume(ctx context.Context, args []string, s streams) error {
	folder, prefer := "", ""
	o, err := parseOptions("resume", args, s.err, func(fs *flag.FlagSet) {
		fs.StringVar(&folder, "run", folder, "folder of the run (its -out)")
		fs.StringVar(&prefer, "prefer", prefer, "where options and checkpoint differ: saved or current; otherwise that is an error")
	}, func() (options, error) {
		if folder == "" {
			return options{}, usagef("-run is missing, want the folder of a run")
		}
		return runOptions(folder, s.err)
	})
	if err != nil {
		return err
	}
	if prefer != "" && prefer != string(checkpoint.Theirs) && prefer != string(checkpoint.Ours) {
		return usagef("-prefer = %q, want saved or current", prefer)
	}
	dir := filepath.Join(folder, "checkpoints")
	if !exists(dir) {
		return errors.Errorf("-run = %s: there is no run to go on with", folder)
	}
	store, err := checkpoint.NewStore(dir, o.Keep)
	if err != nil {
		return err
	}
	saved, damaged, err := store.Latest()
	if err != nil && (len(damaged) > 0 || !errors.Is(err, checkpoint.ErrNone)) {
		return err
	}
	for _, d := range damaged {
		fmt.Fprintln(s.err, "passed over:", d)
	}
	j, err := newJob(&o, folder)
	if err != nil {
		return err
	}
	if saved == nil {
		defer j.close()
		j.store = store
		fmt.Fprintln(s.talk(&o), "there is no checkpoint yet: beginning again")
		if err := j.loadWeights(); err != nil {
			return err
		}
		return j.show(ctx, 0, nil, s)
	}
	line := o.cli
	if err := saved.Reconcile(&o, j.corpus, checkpoint.Winner(prefer), freeOptions...); err != nil {
		j.close()
		return err
	}
	o.cli = line
	if prefer == string(checkpoint.Theirs) { // the options may have changed under the job
		j.close()
		if j, err = newJob(&o, folder); err != nil {
			return err
		}
	}
	defer j.close()
	j.store = store
	fmt.Fprintf(s.talk(&o), "going on after step %d of %d\n", saved.Step(), o.Loop.Steps)
	if err := j.describe(); err != nil {
		return err
	}
	return j.show(ctx, saved.Step(), func(r *train.Run) error { return j.restore(saved, r) }, s)
}

// runOptions are the options of the run in a folder: those of its run.json, or
// if that is not there or damaged, those of its latest checkpoint.
func runOptions(folder string, warn io.Writer) (options, error) {
	o := defaultOptions()
	err := o.load(filepath.Join(folder, "run.json"))
	if err == nil {
		return o, nil
	}
	saved, _, none := checkpoint.Latest(filepath.Join(folder, "checkpoints"))
	if none != nil {
		return o, err
	}
	fmt.Fprintln(warn, "warning: the options are those of the checkpoint:", err)
	o = options{}
	return o, saved.Config(&o)
}
