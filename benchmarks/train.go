package main

import (
	"context"
	"slices"
	"strings"
)

// trainCases are GPT-2 models. 0.8M and 10.7M are nanoGPT's models of
// characters, 124M and 350M are GPT-2's two smallest.
var trainCases = []gptCase{
	{Name: "0.8M", L: 4, C: 128, H: 4, V: 65, Context: 64, B: 12, T: 64},
	{Name: "10.7M", L: 6, C: 384, H: 6, V: 65, Context: 256, B: 16, T: 256},
	{Name: "124M", L: 12, C: 768, H: 12, V: 50257, Context: 1024, B: 4, T: 64},
	{Name: "124M_T1024", L: 12, C: 768, H: 12, V: 50257, Context: 1024, B: 4, T: 1024},
	{Name: "350M", L: 24, C: 1024, H: 16, V: 50257, Context: 1024, B: 1, T: 64},
}

func caseNamed(name string) gptCase {
	return trainCases[slices.IndexFunc(trainCases, func(g gptCase) bool { return g.Name == name })]
}

// trainSuite measures whole training steps: forward, backward, update. Each
// subject runs in a process of its own.
var trainSuite = &suite{
	title: "Training step",
	benchmarks: []benchmark{
		{name: oursAdamW, cases: []string{"0.8M", "10.7M", "124M"}, long: []string{"124M_T1024", "350M"}},
		{name: oneThread, cases: []string{"10.7M", "124M"}, long: []string{"0.8M"}},
		{name: oursAdam, cases: []string{"0.8M"}, long: []string{"10.7M", "124M"}},
		{name: stockOps, cases: []string{"0.8M"}},
	},
	run: func(ctx context.Context, s settings, wanted []string, name string) ([]row, error) {
		return measureTraining(ctx, s, wanted, caseNamed(name))
	},
}

// manyLogits is the size of the logits of a step from which on the peers run
// one after the other, since all of them at once would fill the memory.
const manyLogits = 1 << 27

// measureTraining compares the wanted benchmarks of one case, and the peers.
func measureTraining(ctx context.Context, s settings, wanted []string, g gptCase) ([]row, error) {
	var rows []row
	for _, heat := range heats(g, s.torchSetups("eager", "compiled")) {
		more, err := measureHeat(ctx, s, wanted, g, heat)
		if err != nil {
			return nil, err
		}
		for _, r := range more { // of what runs in several heats the first counts
			if !slices.ContainsFunc(rows, func(old row) bool { return old.Name == r.Name }) {
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

// heats divides the peers into those that run in the same rounds.
func heats(g gptCase, setups []torchSetup) [][]torchSetup {
	if g.B*g.T*g.V < manyLogits || len(setups) == 0 {
		return [][]torchSetup{setups}
	}
	return slices.Collect(slices.Chunk(setups, 1))
}

func measureHeat(ctx context.Context, s settings, wanted []string, g gptCase, setups []torchSetup) ([]row, error) {
	var contenders []contender
	defer func() { closeAll(contenders) }()
	for _, subject := range wanted {
		c, err := newContender(ctx, s, job{Subject: subject, Case: g})
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, c)
	}
	if slices.Contains(wanted, oursAdamW) {
		contenders = append(contenders, startTorch(ctx, s, setups, oursAdamW, g)...)
	}
	n := len(contenders)
	contenders = append(contenders, peakContenders(s)...)
	results, err := alternate(ctx, s.schedule, contenders)
	if err != nil {
		return nil, err
	}
	peak := peakRates(results[n:])
	var rows []row
	for i, c := range contenders[:n] {
		if results[i].seconds == nil {
			continue
		}
		s.note("  %s: loss %.4f", c.name(), results[i].last.Loss)
		rows = append(rows, trainingRows(c.name(), g, results[i], peak)...)
	}
	return append(rows, speedups(g.Name, contenders[:n], results)...), nil
}

// trainingRows are the figures of one subject.
func trainingRows(name string, g gptCase, r series, peak []float64) []row {
	rows := []row{
		{name, g.Name, median(r.seconds), "s"},
		{name + "_tokens_per_second", g.Name, g.tokens() / median(r.seconds), "tokens/s"},
	}
	if peak != nil { // model-FLOP utilization (PaLM, appendix B)
		flops := g.tokens() * g.config().FLOPsPerToken(g.T)
		rows = append(rows, row{name + "_mfu", g.Name, medianRatio(rates(flops, r.seconds), peak), "ratio"})
	}
	if r.allocated > 0 {
		rows = append(rows, row{name + "_allocated", g.Name, r.allocated, "B"})
	}
	if r.last.PeakRSS > 0 {
		rows = append(rows, row{name + "_peak_rss", g.Name, float64(r.last.PeakRSS), "B"})
	}
	return rows
}

// speedups are how many times faster train_step is than the others, if it is
// among them.
func speedups(name string, contenders []contender, results []series) []row {
	ours := slices.IndexFunc(contenders, func(c contender) bool { return c.name() == oursAdamW })
	if ours < 0 {
		return nil
	}
	var rows []row
	for i, c := range contenders {
		if i != ours && results[i].seconds != nil {
			ratio := medianRatio(results[i].seconds, results[ours].seconds)
			other := strings.TrimPrefix(c.name(), oursAdamW+"_")
			rows = append(rows, row{oursAdamW + "_speedup_over_" + other, name, ratio, "ratio"})
		}
	}
	return rows
}

// newContender makes the subject of a job in a process of its own, or in this
// one if a profile is being taken.
func newContender(ctx context.Context, s settings, j job) (contender, error) {
	if s.profiled {
		return newTrainer(j)
	}
	return spawn(ctx, j)
}
