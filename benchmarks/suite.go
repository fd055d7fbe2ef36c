package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A suite measures the benchmarks that must be compared with each other, turn
// by turn in the same rounds.
type suite struct {
	title      string
	benchmarks []benchmark
	// run measures the wanted benchmarks of one case.
	run func(ctx context.Context, s settings, wanted []string, name string) ([]row, error)
}

// A benchmark is what -only can name.
type benchmark struct {
	name  string
	cases []string
	long  []string // further cases, which run only if -only names them or -long is set
}

// settings are what the command line sets for every suite.
type settings struct {
	schedule
	pythons  []string // to run peers with
	peers    bool     // compare with PyTorch
	coreType string   // of OpenBLAS, for peers that use it; "" leaves the choice to it
	profiled bool     // keep everything in this process
}

// note tells what happens, on stderr.
func (s settings) note(format string, args ...any) { fmt.Fprintf(s.log, format+"\n", args...) }

// task is one case of a suite, with the benchmarks that are wanted of it.
type task struct {
	suite  *suite
	wanted []string
	name   string // of the case
}

// choose makes the tasks that the text of -only asks for: NAME or NAME:CASE,
// separated by commas; without any, all benchmarks. Long cases run if they are
// named, or all are wanted.
func choose(suites []*suite, only string, long bool) ([]task, error) {
	asked := map[[2]string]bool{} // name, case
	for _, s := range suites {
		for _, b := range s.benchmarks {
			for _, c := range b.cases {
				asked[[2]string{b.name, c}] = only == ""
			}
			for _, c := range b.long {
				asked[[2]string{b.name, c}] = only == "" && long
			}
		}
	}
	for _, item := range strings.Split(only, ",") {
		if only == "" {
			break
		}
		name, c, hasCase := strings.Cut(item, ":")
		b := find(suites, name)
		if b == nil {
			return nil, fmt.Errorf("-only %s: there is no benchmark %q; -list lists them", only, name)
		}
		cases := b.cases
		if long || len(cases) == 0 {
			cases = slices.Concat(b.cases, b.long)
		}
		if hasCase {
			cases = []string{c}
		}
		for _, c := range cases {
			if _, known := asked[[2]string{name, c}]; !known {
				return nil, fmt.Errorf("-only %s: %s has no case %q; -list lists them", only, name, c)
			}
			asked[[2]string{name, c}] = true
		}
	}
	var tasks []task
	for _, s := range suites {
		for _, c := range s.cases() {
			t := task{suite: s, name: c}
			for _, b := range s.benchmarks {
				if asked[[2]string{b.name, c}] {
					t.wanted = append(t.wanted, b.name)
				}
			}
			if t.wanted != nil {
				tasks = append(tasks, t)
			}
		}
	}
	return tasks, nil
}

// cases are those of all benchmarks of the suite, in order.
func (s *suite) cases() []string {
	var all []string
	for _, b := range s.benchmarks {
		for _, c := range slices.Concat(b.cases, b.long) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

func find(suites []*suite, name string) *benchmark {
	for _, s := range suites {
		for i := range s.benchmarks {
			if s.benchmarks[i].name == name {
				return &s.benchmarks[i]
			}
		}
	}
	return nil
}

// list writes each benchmark with its cases; those in parentheses are long.
func list(w io.Writer, suites []*suite) {
	for _, s := range suites {
		for _, b := range s.benchmarks {
			fmt.Fprint(w, b.name)
			for _, c := range b.cases {
				fmt.Fprint(w, " ", c)
			}
			for _, c := range b.long {
				fmt.Fprintf(w, " (%s)", c)
			}
			fmt.Fprintln(w)
		}
	}
}
