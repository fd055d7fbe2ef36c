package main

import (
	"context"
	"fmt"
	"slices"
)

// scalingSuite measures how a training step grows: with the depth, width,
// context and batch of a model, each doubled three times, and with its size
// from 10.7M to 350M parameters.
var scalingSuite = &suite{
	title:      "Growth of a training step",
	benchmarks: []benchmark{{name: "scaling", long: []string{"depth", "width", "context", "batch", "size"}}},
	run: func(ctx context.Context, s settings, _ []string, name string) ([]row, error) {
		if name == "size" {
			return measureSizes(ctx, s, sizeCases)
		}
		return measureGrowth(ctx, s, name, gptCase{L: 3, C: 256, H: 4, V: 65, Context: 512, B: 4, T: 128})
	},
}

// grown are the cases of one axis: base, and base doubled three times.
func grown(axis string, base gptCase) (cases []gptCase, sizes []float64) {
	for factor := 1; factor <= 8; factor *= 2 {
		g, size := base, 0
		switch axis {
		case "depth":
			g.L *= factor
			size = g.L
		case "width": // at a constant head size
			g.C, g.H = g.C*factor/2, g.H*factor/2
			size = g.C
		case "context":
			g.T = g.T * factor / 2
			size = g.T
		case "batch":
			g.B *= factor
			size = g.B
		}
		g.Name = fmt.Sprintf("%s=%d", axis, size)
		cases, sizes = append(cases, g), append(sizes, float64(size))
	}
	return cases, sizes
}

// measureGrowth gives each case's time and peak memory, and the exponents p of
// cost = c size^p that fit them best.
func measureGrowth(ctx context.Context, s settings, axis string, base gptCase) ([]row, error) {
	cases, sizes := grown(axis, base)
	results, err := trainAll(ctx, s, cases)
	if err != nil {
		return nil, err
	}
	var rows []row
	var seconds, memory []float64
	for i, g := range cases {
		seconds = append(seconds, median(results[i].seconds))
		memory = append(memory, float64(results[i].last.PeakRSS))
		rows = append(rows, row{"scaling_time", g.Name, seconds[i], "s"})
		if memory[i] > 0 {
			rows = append(rows, row{"scaling_peak_rss", g.Name, memory[i], "B"})
		}
	}
	rows = append(rows, row{"scaling_time_exponent", axis, exponent(sizes, seconds), "1"})
	if slices.Min(memory) > 0 {
		rows = append(rows, row{"scaling_peak_rss_exponent", axis, exponent(sizes, memory), "1"})
	}
	return rows, nil
}

// sizeCases train on the same number of tokens.
var sizeCases = []gptCase{
	{Name: "10.7M", L: 6, C: 384, H: 6, V: 65, Context: 256, B: 4, T: 64},
	{Name: "25M", L: 8, C: 512, H: 8, V: 65, Context: 256, B: 4, T: 64},
	{Name: "85M", L: 12, C: 768, H: 12, V: 65, Context: 256, B: 4, T: 64},
	{Name: "124M", L: 12, C: 768, H: 12, V: 50257, Context: 1024, B: 4, T: 64},
	{Name: "350M", L: 24, C: 1024, H: 16, V: 50257, Context: 1024, B: 4, T: 64},
}

// measureSizes gives the cost of a step for each token and parameter.
func measureSizes(ctx context.Context, s settings, cases []gptCase) ([]row, error) {
	results, err := trainAll(ctx, s, cases)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, g := range cases {
		n := float64(g.config().NumParams())
		seconds := median(results[i].seconds)
		rows = append(rows,
			row{"scaling_time", g.Name, seconds, "s"},
			row{"scaling_time_per_token_and_param", g.Name, 1e12 * seconds / (n * g.tokens()), "ps"})
		if rss := results[i].last.PeakRSS; rss > 0 {
			rows = append(rows,
				row{"scaling_peak_rss", g.Name, float64(rss), "B"},
				row{"scaling_peak_rss_per_param", g.Name, float64(rss) / n, "B/param"})
		}
	}
	return rows, nil
}

// trainAll lets our training step of each case take turns.
func trainAll(ctx context.Context, s settings, cases []gptCase) ([]series, error) {
	var contenders []contender
	defer func() { closeAll(contenders) }()
	for _, g := range cases {
		c, err := newContender(ctx, s, job{Subject: oursAdamW, Case: g})
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, c)
	}
	return alternate(ctx, s.schedule, contenders)
}
