package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	speed := &suite{benchmarks: []benchmark{
		{name: "fast", cases: []string{"1", "2"}, long: []string{"3"}},
		{name: "slow", cases: []string{"1"}},
	}}
	growth := &suite{benchmarks: []benchmark{{name: "growth", long: []string{"all"}}}}
	for _, c := range []struct {
		only string
		long bool
		want string
	}{
		{"", false, "1:fast+slow 2:fast"},
		{"", true, "1:fast+slow 2:fast 3:fast all:growth"},
		{"slow", false, "1:slow"},
		{"fast", true, "1:fast 2:fast 3:fast"},
		{"fast:3", false, "3:fast"},
		{"fast:2,slow", true, "1:slow 2:fast"},
		{"fast,fast:3", false, "1:fast 2:fast 3:fast"},
		{"growth", false, "all:growth"},
	} {
		t.Run(c.only, func(t *testing.T) {
			tasks, err := choose([]*suite{speed, growth}, c.only, c.long)
			require.NoError(t, err)
			var got []string
			for _, task := range tasks {
				got = append(got, task.name+":"+strings.Join(task.wanted, "+"))
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

func TestTables(t *testing.T) {
	rows := []row{
		{"step", "small", 0.012345, "s"}, {"memory", "small", 3 << 20, "B"},
		{"step", "large", 12345.6, "s"},
	}
	table := pivot(rows)
	require.Equal(t, [][]string{
		{"", "small", "large"},
		{"step [s]", "0.0123", "12346"},
		{"memory [B]", "3 MiB", ""},
	}, table)
	var text, markdown bytes.Buffer
	require.NoError(t, writeText(&text, "Steps", table))
	require.Equal(t, "Steps\n               small  large\n  step [s]    0.0123  12346\n  memory [B]   3 MiB       \n\n", text.String())
	require.NoError(t, writeMarkdown(&markdown, "Steps", table))
	require.Equal(t, "### Steps\n\n|  | small | large |\n|---|---:|---:|\n| step [s] | 0.0123 | 12346 |\n| memory [B] | 3 MiB |  |\n\n", markdown.String())

	tall := pivot([]row{{"x", "a", 1, "s"}, {"x", "b", 2, "s"}})
	require.Equal(t, [][]string{{"", "x [s]"}, {"a", "1"}, {"b", "2"}}, tall, "the longer list goes downwards")

	require.Error(t, row{"x", "a", math.NaN(), "s"}.writeJSON(&text), "what is not a number is no result")
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		value      float64
		unit, want string
	}{
		{0, "B", "0 B"}, {1536, "B", "1.5 KiB"}, {5 << 30, "B", "5 GiB"}, {3 << 40, "B", "3072 GiB"},
		{0, "ratio", "0"}, {0.95678, "ratio", "0.957"}, {99.96, "s", "100"}, {123456, "tokens/s", "123456"},
	} {
		require.Equal(t, c.want, row{Value: c.value, Unit: c.unit}.format())
	}
}

func TestStats(t *testing.T) {
	xs := []float64{3, 1, 2}
	require.Equal(t, 2.0, median(xs))
	require.Equal(t, []float64{3, 1, 2}, xs)
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	require.True(t, math.IsNaN(median(nil)))
	require.Equal(t, 2.0, medianRatio([]float64{2, 40, 600}, []float64{1, 20, 100}))
	require.InDelta(t, 1.5, exponent([]float64{1, 2, 4, 8}, []float64{3, 3 * math.Pow(2, 1.5), 3 * 8, 3 * math.Pow(8, 1.5)}), 1e-12)
}
