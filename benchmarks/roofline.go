package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
)

// rooflineSuite tells where the time of a training step goes and how near each
// part is to the limit of the machine: its FLOPs at the peak rate, or its bytes
// at the bandwidth of a copy (Williams, Waterman and Patterson 2009, Roofline).
var rooflineSuite = &suite{
	title:      "Roofline of a training step",
	benchmarks: []benchmark{{name: "roofline", cases: []string{"0.8M", "10.7M", "124M"}, long: []string{"124M_T1024", "350M"}}},
	run: func(ctx context.Context, s settings, _ []string, name string) ([]row, error) {
		return measureRoofline(ctx, s, caseNamed(name))
	},
}

// part is a part of a step: what in a call stack marks it, and the least that
// it has to do.
type part struct {
	name  string
	stack *regexp.Regexp
	flops float64
	bytes float64
}

// parts are those of a step on g. A stack belongs to the first that it matches.
func parts(g gptCase) []part {
	rows, C, L, V := g.tokens(), float64(g.C), float64(g.L), float64(g.V)
	matrices := 12*L*C*C + V*C
	// A pass over n elements that reads or writes each k times.
	pass := func(k, n float64) float64 { return 4 * k * n }
	at := regexp.MustCompile
	return []part{
		{name: "waiting", stack: at(`kernel\.\(?\*?sleeper`)}, // for other workers
		{name: "attention", stack: at(`kernel\.(Attention|\(\*attn|attn)`),
			flops: 7 * L * float64(g.B*g.T*g.T) * C}, // seven products of half a square
		{name: "optimizer", stack: at(`kernel\.(AdamW|SumSquares|sumPieces)|gorget/solvers\.`),
			bytes: pass(8, float64(g.config().NumParams()))}, // AdamW's seven and the norm's one
		{name: "loss", stack: at(`kernel\.\(?CrossEntropy`),
			bytes: pass(2, rows*V)},
		{name: "embedding", stack: at(`kernel\.[eE]mbedding`),
			bytes: pass(4, rows*C) + pass(2, V*C)},
		{name: "norm", stack: at(`kernel\.(\(\*loops\[[^]]*\]\)\.)?(\w*LayerNorm|layerNorm|norm)`),
			bytes: pass(5, rows*C*(2*L+1))}, // forward reads x and writes y, backward reads x, dy and writes dx
		{name: "activation", stack: at(`kernel\.\w*(GELU|gelu)`),
			bytes: pass(5, rows*4*C*L)},
		{name: "product", stack: at(`kernel\.(Gemm|gemm|\(\*product|\(\*tiling)`),
			flops: 6 * rows * matrices},
		{name: "elementwise", stack: at(`kernel\.(Add|SumRows|Scale|Axpy|add|scale)|tensor.*Add`),
			bytes: pass(6, rows*C*2*L)}, // the residual sums, forward and backward
		{name: "rest", stack: at(``)},
	}
}

func measureRoofline(ctx context.Context, s settings, g gptCase) ([]row, error) {
	if s.profiled {
		s.note("  a profile is being taken: no roofline, which takes one itself")
		return nil, nil
	}
	t, err := newTrainer(job{Subject: oursAdamW, Case: g})
	if err != nil {
		return nil, err
	}
	defer t.close()
	contenders := append([]contender{t}, peakContenders(s)...)
	copies := len(contenders)
	const n = 1 << 23 // parameters: 128 MiB, more than a cache
	contenders = append(contenders, copyContenders(n)...)
	results, err := alternate(ctx, s.schedule, contenders)
	if err != nil {
		return nil, err
	}
	step := median(results[0].seconds)
	steps := 1 + int(float64(s.rounds)*s.turn.Seconds()/step)
	s.note("  profile of %d steps", steps)
	stacks, err := profile(ctx, func() error { _, err := t.run(steps); return err })
	if err != nil {
		return nil, err
	}
	rows := []row{{"step", g.Name, step, "s"}}
	limits := machineLimits{bandwidth: median(copyRates(results[copies:], n))}
	if peak := peakRates(results[1:copies]); peak != nil {
		limits.flops = median(peak)
	}
	return append(rows, attribute(g.Name, parts(g), stacks, steps, limits)...), nil
}

// machineLimits are in FLOP/s, 0 if not known, and B/s.
type machineLimits struct{ flops, bandwidth float64 }

// attribute gives each part's share of the processor time, its time a step if
// all threads work on it, and the fraction of its limit that it reaches.
func attribute(name string, parts []part, stacks []stack, steps int, limits machineLimits) []row {
	spent := make([]float64, len(parts))
	total := 0.0
	for _, st := range stacks {
		i := slices.IndexFunc(parts, func(p part) bool { return p.stack.MatchString(st.functions) })
		spent[i] += st.seconds
		total += st.seconds
	}
	var rows []row
	limit := 0.0
	for i, p := range parts {
		rows = append(rows, row{p.name + "_share", name, spent[i] / math.Max(total, 1e-9), "ratio"})
		least := p.bytes / limits.bandwidth
		if p.flops > 0 && limits.flops > 0 {
			least = p.flops / limits.flops
		}
		limit += least
		seconds := spent[i] / float64(steps*runtime.GOMAXPROCS(0))
		rows = append(rows, row{p.name, name, seconds, "s"})
		if least > 0 && seconds > 0 {
			rows = append(rows, row{p.name + "_of_limit", name, least / seconds, "ratio"})
		}
	}
	return append(rows, row{"limit", name, limit, "s"})
}

// stack is what a profile says of one call stack.
type stack struct {
	seconds   float64
	functions string // the innermost first, one a line
}

// profile runs f and returns the call stacks that took processor time, as the
// Go tool prints them.
func profile(ctx context.Context, f func() error) ([]stack, error) {
	dir, err := os.MkdirTemp("", "gorget-benchmarks-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "cpu.out")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	err = f()
	pprof.StopCPUProfile()
	if err != nil {
		return nil, err
	}
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-unit=ms", path).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return parseTraces(string(text))
}

// parseTraces reads the output of go tool pprof -traces -unit=ms: blocks that
// begin with a line of dashes, in each the time and the functions.
func parseTraces(text string) ([]stack, error) {
	var stacks []stack
	for i, block := range strings.Split(text, "-----------+") {
		_, lines, _ := strings.Cut(block, "\n")
		amount, functions, found := strings.Cut(strings.TrimSpace(lines), "ms ")
		if i == 0 || lines == "" {
			continue // the heading; the end
		}
		ms, err := strconv.ParseFloat(amount, 64)
		if !found || err != nil {
			return nil, fmt.Errorf("trace begins with %q, want a time in ms", amount)
		}
		stacks = append(stacks, stack{ms / 1e3, functions})
	}
	return stacks, nil
}
