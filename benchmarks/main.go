package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	if job := os.Getenv(childVariable); job != "" {
		os.Exit(serve(job, os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: go run ./benchmarks [flags]

Measures what a training step and its parts cost. The tables go to stdout,
progress to stderr. Exit codes: 0 done, 1 something failed, 2 wrong usage.

`

// command runs the program with the arguments and returns its exit code.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	var (
		only     = flags.String("only", "", "run these alone: `NAME[:CASE],...`")
		listing  = flags.Bool("list", false, "list the benchmarks and their cases")
		long     = flags.Bool("long", false, "run the long cases too, those that -list has in parentheses")
		asJSON   = flags.Bool("json", false, `print an object a line: {"name":...,"case":...,"value":...,"unit":...}`)
		markdown = flags.Bool("markdown", false, "print the tables in Markdown, with the machine they were measured on")
		rounds   = flags.Int("rounds", 7, "`N` rounds, in each of which everything that is compared has a turn")
		turn     = flags.Duration("turn", time.Second, "about how long a turn lasts")
		peers    = flags.Bool("peers", false, "compare with PyTorch, turn by turn")
		python   = flags.String("python", "python3", "the `PATH` of the Python that has PyTorch; several, separated by commas")
		profile  = flags.String("cpuprofile", "", "write a processor profile to `FILE`; everything then runs in this one process")
	)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	wrong := func(err error) int {
		fmt.Fprintf(stderr, "benchmarks: %v\n", err)
		return 2
	}
	switch {
	case flags.NArg() > 0:
		return wrong(fmt.Errorf("argument %q, want flags alone", flags.Arg(0)))
	case *rounds < 1:
		return wrong(fmt.Errorf("-rounds %d, want at least 1", *rounds))
	case *turn < 0:
		return wrong(fmt.Errorf("-turn %v, want at least 0", *turn))
	case *asJSON && *markdown:
		return wrong(errors.New("-json and -markdown, want one of them"))
	}
	all := []*suite{optimizerSuite, gemmSuite, blasSuite, trainSuite, rooflineSuite, scalingSuite}
	tasks, err := choose(all, *only, *long)
	if err != nil {
		return wrong(err)
	}
	if *listing {
		list(stdout, all)
		return 0
	}
	s := settings{
		schedule: schedule{rounds: *rounds, turn: *turn, pause: 200 * time.Millisecond, log: stderr},
		pythons:  strings.Split(*python, ","),
		peers:    *peers,
		profiled: *profile != "",
	}
	if s.peers && !s.profiled {
		s.coreType = strongestCoreType(ctx, s)
	}
	p := &printer{w: stdout, format: text}
	switch {
	case *asJSON:
		p.format = jsonLines
	case *markdown:
		p.format = markdownTables
		fmt.Fprintf(stdout, "%s\n\n", describeMachine())
	}
	if err := runAll(ctx, s, tasks, p, *profile); err != nil {
		fmt.Fprintf(stderr, "benchmarks: %v\n", err)
		return 1
	}
	return 0
}

// runAll runs the tasks and prints what they find.
func runAll(ctx context.Context, s settings, tasks []task, p *printer, profile string) error {
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for i, t := range tasks {
		s.note("%s: %s", t.suite.title, t.name)
		rows, err := t.suite.run(ctx, s, t.wanted, t.name)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", t.suite.title, t.name, err)
		}
		if err := p.add(rows); err != nil {
			return err
		}
		if i == len(tasks)-1 || tasks[i+1].suite != t.suite {
			if err := p.finish(t.suite.title); err != nil {
				return err
			}
		}
		debug.FreeOSMemory() // what this task held
	}
	return nil
}
