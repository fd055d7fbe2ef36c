package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/presets"
)

// brief are the flags of a run of a preset that takes no time.
func brief(t *testing.T, preset string, more ...string) []string {
	t.Helper()
	file, _ := tiny(t)
	return append([]string{"-preset", preset, "-data", file, "-context", "16", "-batch", "2", "-steps", "4", "-sample", "4", "-eval-tokens", "100"}, more...)
}

func TestTrainEveryPreset(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, recipe := range []presets.Choice{presets.AsPublished, presets.AsClaimed} {
			out := t.TempDir()
			code, stdout, errs := demo(t, brief(t, s.Name, "-recipe", string(recipe), "-out", out)...)
			require.Equal(t, exitOK, code, errs)
			require.Contains(t, stdout, "a tiny "+s.Title+" with the recipe of "+s.Sizes[0].Name+", "+recipe.String())
			require.Contains(t, stdout, "in proportion: run ")
			require.Len(t, rowsOfKind(t, out, "grad_norm"), 4)

			var saved options
			require.NoError(t, saved.load(filepath.Join(out, "run.json")))
			require.Equal(t, []string{s.Name, string(recipe)}, []string{saved.Preset, string(saved.Choice)})
			want, err := s.Experiment(saved.Exp.Config.Vocab, 4, recipe)
			require.NoError(t, err)
			want.Config.Context, want.Time, want.Batch = 16, 16, 2
			require.Equal(t, want, saved.Exp, s.Name)
		}
	}
}

func rowsOfKind(t *testing.T, out, key string) (rows []map[string]any) {
	t.Helper()
	for _, row := range rowsOf(t, filepath.Join(out, "metrics.jsonl")) {
		if row[key] != nil && row["lr"] != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

func TestFlagsOverrideAPreset(t *testing.T) {
	var begin start
	o, err := parseOptions("train", []string{"-lr", "0.002", "-preset", "palm", "-steps", "2550", "-channels", "400", "-heads", "8"}, os.Stderr,
		begin.flags, func() (options, error) { return begin.options(defaultOptions()) })
	require.NoError(t, err)
	require.Equal(t, 0.002, o.Exp.Recipe.LR)
	require.Equal(t, presets.AsPublished, o.Choice)
	require.Equal(t, 100, o.Exp.Recipe.Schedule.Hold, "10000 of 255000 steps")
	require.Equal(t, 1./20, o.Exp.Config.LogitScale, "1/sqrt(channels)")
	require.Equal(t, 8, o.Exp.Config.Heads)

	o, err = parseOptions("train", []string{"-preset", "llama", "-steps", "500", "-warmup", "50", "-min-lr", "0"}, os.Stderr, begin.flags, func() (options, error) { return begin.options(defaultOptions()) })
	require.NoError(t, err)
	require.Equal(t, []int{50, 500}, []int{o.Exp.Recipe.Schedule.Warmup, o.Exp.Recipe.Schedule.Steps})
	require.Zero(t, o.Exp.Recipe.Schedule.Floor)
	o, err = parseOptions("train", []string{"-preset", "llama"}, os.Stderr, begin.flags, func() (options, error) { return begin.options(defaultOptions()) })
	require.NoError(t, err)
	require.Equal(t, []int{8, presetSteps}, []int{o.Exp.Recipe.Schedule.Warmup, o.Exp.Steps}, "2000 of 250000 steps")
}

func TestPresetUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-preset", "gpt5"},
		{"-recipe", "claimed"},
		{"-preset", "palm", "-recipe", "rumoured"},
		{"-preset", "palm", "-config", "run.json"},
		{"-preset", "palm", "-compare"},
		{"-preset", "palm", "-beta2", "0.9"},
		{"-preset", "llama", "-steps", "0"},
		{"-preset", "llama", "-heads", "5"},
	} {
		code, _, errs := demo(t, args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errs)
	}
}

// A run of a preset is resumed with the preset's model, whose unset fields are
// not those of the default model.
func TestResumeAPreset(t *testing.T) {
	out := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, _, errs := demoWith(t, ctx, brief(t, "llama2", "-out", out)...)
	require.Equal(t, exitInterrupted, code, errs)
	var before, after options
	require.NoError(t, before.load(filepath.Join(out, "run.json")))
	code, _, errs = demo(t, "resume", "-run", out)
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, after.load(filepath.Join(out, "run.json")))
	require.Equal(t, before, after)
	require.False(t, after.Exp.Config.Tied)

	code, _, errs = demo(t, "resume", "-run", out, "-recipe", "claimed")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "not defined: -recipe")
}

func TestComparePreset(t *testing.T) {
	code, stdout, errs := demo(t, brief(t, "llama", "-compare", "-sample", "0", "-out", t.TempDir())...)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, stdout, "a tiny LLaMA")
	require.NotContains(t, stdout, "biases are on")
}
