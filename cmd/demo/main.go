// Command demo trains a GPT model on real text and shows what happens.
//
//	go run ./cmd/demo                      the whole show, with nanoGPT's CPU recipe
//	go run ./cmd/demo train -data FILE     the same on a text of your own
//	go run ./cmd/demo train -compare       three ways of weight decay, side by side
//	go run ./cmd/demo -preset palm         a tiny PaLM by its recipe; so for any named system
//	go run ./cmd/demo systems [NAME]       the named systems: what is said of them, and what was published
//	go run ./cmd/demo sample -run DIR      what the model of a run writes; so for -model DIR, a model's folder
//	go run ./cmd/demo eval -run DIR        its loss and perplexity
//	go run ./cmd/demo -h                   the commands; COMMAND -h: the flags of one
//
// Results go to the standard output, progress to the standard error. The exit
// status is 0, or 1 after a failure, 2 for a wrong command line, 130 if the run
// was interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/errors"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// streams are where a command writes.
type streams struct {
	out io.Writer // results
	err io.Writer // progress and errors
}

// command is one of the program's verbs. It gets its arguments without the
// verb.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, s streams) error
}

func commands() []command {
	return []command{
		{"train", "train a model on a text (the default)", runTrain},
		{"systems", "the named systems: what is said of their weight decay, and what was published", runSystems},
		{"resume", "go on with a run that was stopped", runResume},
		{"eval", "loss and perplexity of a trained model", runEval},
		{"sample", "continue a text with a trained model", runSample},
		{"prepare", "turn text files into token files", runPrepare},
		{"verify-resume", "show that a resumed run ends in the same bits", runVerifyResume},
	}
}

var (
	errUsage       = errors.New("usage")
	errInterrupted = errors.New("interrupted")
)

func main() {
	ctx, stop := interruptible()
	code := dispatch(ctx, os.Args[1:], streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// interruptible ends the context at the first Ctrl-C, so that the step in
// progress is finished and saved, and the process at the second.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel()
		if _, ok := <-signals; ok {
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel() }
}

// dispatch finds the command and turns its error into an exit status.
func dispatch(ctx context.Context, args []string, s streams) int {
	verb, rest := "train", args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, rest = args[0], args[1:]
	}
	if verb == "help" || len(args) == 1 && slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
		fmt.Fprintln(s.out, "usage: demo [COMMAND] [flags]\n\nThe commands; COMMAND -h shows the flags of one:")
		listCommands(s.out)
		return exitOK
	}
	for _, c := range commands() {
		if c.name != verb {
			continue
		}
		err := c.run(ctx, rest, s)
		switch {
		case err == nil || errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(s.err, "interrupted")
			return exitInterrupted
		case errors.Is(err, errUsage):
			fmt.Fprintln(s.err, strings.TrimSuffix(err.Error(), ": usage"))
			return exitUsage
		}
		fmt.Fprintln(s.err, "error:", err)
		return exitFailure
	}
	fmt.Fprintf(s.err, "unknown command %q, want one of:\n", verb)
	listCommands(s.err)
	return exitUsage
}

func listCommands(w io.Writer) {
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-14s %s\n", c.name, c.about)
	}
}

// usagef is an error about the command line.
func usagef(format string, args ...any) error { return errors.Wrapf(errUsage, format, args...) }

// parse reads the flags of a command line.
func parse(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usagef("%v", err)
}

// parseFlags reads a command line that has nothing but flags.
func parseFlags(fs *flag.FlagSet, args []string) error {
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef("unexpected argument %q, want flags only", fs.Arg(0))
	}
	return nil
}
