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
// checkpoint, it asks which side wins.
func runResume(ctx context.Context, args []string, s streams) error {
	folder, prefer := "", ""
	extra := func(fs *flag.FlagSet) {
		fs.StringVar(&folder, "run", folder, "folder of the run (its -out)")
		fs.StringVar(&prefer, "prefer", prefer, "where options and checkpoint differ: saved or current; otherwise that is an error")
	}
	o, err := resumeOptions(args, s.err, &folder, extra)
	if err != nil {
		return err
	}
	if prefer != "" && prefer != string(checkpoint.Theirs) && prefer != string(checkpoint.Ours) {
		return usagef("-prefer = %q, want saved or current", prefer)
	}
	store, err := checkpoint.NewStore(filepath.Join(folder, "checkpoints"), o.keep)
	if err != nil {
		return err
	}
	saved, damaged, err := store.Latest()
	if err != nil {
		return err
	}
	for _, d := range damaged {
		fmt.Fprintln(s.err, "passed over:", d)
	}
	j, err := newJob(&o, folder)
	if err != nil {
		return err
	}
	corpus := j.corpus
	if err := saved.Reconcile(&o, corpus, checkpoint.Winner(prefer)); err != nil {
		j.close()
		return err
	}
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

// resumeOptions are the options of the run that -run names, with flags on top.
func resumeOptions(args []string, help io.Writer, folder *string, extra func(*flag.FlagSet)) (options, error) {
	var scratch options
	var file string
	scout := flagSet("resume", &scratch, &file, help)
	extra(scout)
	if err := scout.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return scratch, err
		}
		return scratch, usagef("%v", err)
	}
	if *folder == "" {
		return scratch, usagef("-run is missing, want the folder of a run")
	}
	base := defaultOptions()
	if err := base.load(filepath.Join(*folder, "run.json")); err != nil {
		return base, err
	}
	return parseOptions("resume", base, args, help, extra)
}
