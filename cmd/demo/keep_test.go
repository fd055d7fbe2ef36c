package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/solvers"
)

func checkpointsIn(t *testing.T, out string) (names []string) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(out, "checkpoints", "step-*"))
	require.NoError(t, err)
	for _, f := range folders {
		names = append(names, filepath.Base(f))
	}
	return names
}

// A run that keeps 10 checkpoints keeps them when it is resumed.
func TestResumeKeepsTheCheckpoints(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(flags, "-out", out, "-save-every", "1", "-keep", "10", "-figures", "svg")...)
	require.Zero(t, code, stderr)
	before := checkpointsIn(t, out)
	require.GreaterOrEqual(t, len(before), 10)
	rows := rowsOf(t, filepath.Join(out, "metrics.jsonl"))
	code, stdout, stderr := demo(t, "resume", "-run", out)
	require.Zero(t, code, stderr)
	require.Equal(t, before, checkpointsIn(t, out))
	require.Equal(t, rows, rowsOf(t, filepath.Join(out, "metrics.jsonl")), "a finished run is not validated again")
	require.Contains(t, stdout, "loss.svg")
	code, _, stderr = demo(t, "resume", "-run", out, "-keep", "3", "-sample", "0", "-json")
	require.Zero(t, code, stderr, "no number depends on these")
}

func TestTrainRefusesToOverwriteARun(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "a run")
	code, _, stderr := demo(t, append(flags, "-out", out)...)
	require.Zero(t, code, stderr)
	before, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, err)
	for _, more := range [][]string{nil, {"-compare"}} {
		code, _, stderr = demo(t, append(append(flags, "-out", out), more...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, stderr, "resume -run '"+out+"'")
	}
	after, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestFailuresLeaveNoFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	for _, more := range [][]string{nil, {"-compare"}} {
		code, _, _ := demo(t, append([]string{"-data", "no such file", "-out", out}, more...)...)
		require.Equal(t, exitFailure, code)
		require.NoDirExists(t, out)
	}
}

// The options come from the checkpoint if run.json is damaged.
func TestResumeWithoutRunJSON(t *testing.T) {
	_, flags := tiny(t)
	whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(flags, "-out", whole)...)
	require.Zero(t, code, stderr)
	code, _, stderr = demo(t, append(flags, "-out", out)...)
	require.Zero(t, code, stderr)
	require.NoError(t, os.Truncate(filepath.Join(out, "run.json"), 20))
	code, _, stderr = demo(t, "resume", "-run", out)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "options are those of the checkpoint")
	b, err := os.ReadFile(filepath.Join(out, "run.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(b), "it is whole again")
}

// A run that was killed before its first checkpoint begins again.
func TestResumeWithoutCheckpoint(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(flags, "-out", out)...)
	require.Zero(t, code, stderr)
	rows := len(rowsOf(t, filepath.Join(out, "metrics.jsonl")))
	for _, name := range checkpointsIn(t, out) {
		require.NoError(t, os.RemoveAll(filepath.Join(out, "checkpoints", name)))
	}
	require.NoError(t, os.Remove(filepath.Join(out, "checkpoints", "latest")))
	code, stdout, stderr := demo(t, "resume", "-run", out)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "beginning again")
	require.Len(t, rowsOf(t, filepath.Join(out, "metrics.jsonl")), rows)
	require.NoError(t, os.RemoveAll(filepath.Join(out, "checkpoints")))
	code, _, stderr = demo(t, "resume", "-run", out)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "no run to go on with")
}

// With a learning rate that grows too large the last weights are not the best.
func TestBestWeightsAreKept(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := demo(t, append(flags, "-out", out, "-steps", "60", "-warmup", "60", "-lr", "3", "-keep", "1", "-patience", "2", "-eval-every", "3")...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "no progress")
	require.Contains(t, stdout, "eval -best")
	best, err := checkpoint.Best(filepath.Join(out, "checkpoints"))
	require.NoError(t, err)
	loss := func(args ...string) float64 {
		code, stdout, stderr := demo(t, append([]string{"eval", "-run", out, "-json"}, args...)...)
		require.Zero(t, code, stderr)
		var e evaluation
		require.NoError(t, json.Unmarshal([]byte(stdout), &e))
		return e.Loss
	}
	require.Less(t, loss("-best"), loss())
	for _, row := range rowsOf(t, filepath.Join(out, "metrics.jsonl")) {
		if row["val_loss"] != nil && row["step"] == float64(best.Step()) {
			require.InDelta(t, row["val_loss"].(float64), loss("-best"), 1e-5)
		}
	}
}

// TestEveryStopOfEveryMode: with dropout, accumulation, clipping, averaged
// weights and schedules of the learning rate and of lambda, a run that is
// stopped after any step and resumed from disk, with another number of threads,
// ends in the same weights, state and metrics.
func TestEveryStopOfEveryMode(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	file, _ := tiny(t)
	lambda := solvers.Linear(0, 6, 0.25)
	for _, mode := range []solvers.Mode{solvers.LRCoupled, solvers.Independent, solvers.Corrected} {
		o := shortOptions()
		o.Data = file
		c, r := &o.Exp.Config, &o.Exp.Recipe
		c.Layers, c.Channels, c.Heads, c.Context = 1, 16, 2, 16
		o.Exp.Time, o.Exp.Batch, o.Exp.Micro, o.Exp.Steps = 16, 2, 2, 6
		o.Loop.Steps, o.Loop.Micro, o.Loop.EMA, o.Loop.EvalEvery, o.Loop.InspectEvery = 6, 2, 0.9, 2, 2
		r.Schedule, r.DecaySchedule, r.Mode, r.Clip = solvers.WarmupCosine(2, 6, 0.1), &lambda, mode, 0.5
		if mode == solvers.Independent {
			r.WeightDecay = 0.001
		}
		require.NoError(t, o.validate())
		dir := t.TempDir()
		whole, err := endOf(context.Background(), o, filepath.Join(dir, "whole"), 0)
		require.NoError(t, err)
		require.NotEqual(t, whole.metrics[0]["weight_decay"], whole.metrics[4]["weight_decay"])
		for stop := 1; stop < o.Loop.Steps; stop++ {
			runtime.GOMAXPROCS(1 + stop%3)
			resumed, err := endOf(context.Background(), o, filepath.Join(dir, mode.String(), strings.Repeat("i", stop)), stop)
			require.NoError(t, err)
			require.Empty(t, whole.compare(resumed), "%v, stopped after step %d", mode, stop)
		}
	}
}

func TestStepsMoveBothSchedules(t *testing.T) {
	base := defaultOptions()
	lambda := solvers.Linear(0, 2000, 0.5)
	base.Exp.Recipe.DecaySchedule = &lambda
	o, err := parseOptions("train", []string{"-steps", "100"}, os.Stderr, func(*flag.FlagSet) {}, func() (options, error) { return base, nil })
	require.NoError(t, err)
	require.Equal(t, 100, o.Exp.Recipe.DecaySchedule.Steps)
	require.Equal(t, base.Exp.Recipe.Schedule.Steps-1900, o.Exp.Recipe.Schedule.Steps)
	require.Equal(t, 2000, lambda.Steps)
}

func TestVerifyResumeOfARun(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(flags, "-out", out, "-dropout", "0.1", "-mode", "corrected")...)
	require.Zero(t, code, stderr)
	code, stdout, stderr := demo(t, "verify-resume", "-run", out)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "equal: 12 steps")
}

func TestTokenizerOfPreparedText(t *testing.T) {
	file, flags := tiny(t)
	shards, again := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "again")
	code, _, stderr := demo(t, "prepare", "-out", shards, file)
	require.Zero(t, code, stderr)
	tok := filepath.Join(shards, "tokenizer.json")
	code, _, stderr = demo(t, "prepare", "-out", again, "-tokenizer", tok, file)
	require.Zero(t, code, stderr)
	a, err := os.ReadFile(filepath.Join(shards, "train.bin"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(again, "train.bin"))
	require.NoError(t, err)
	require.Equal(t, a, b)

	chars, err := dataset.NewChars("other")
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "other.json")
	require.NoError(t, dataset.SaveTokenizer(other, chars))
	for name, code := range map[string]int{"char": exitOK, tok: exitOK, "gpt2": exitFailure, other: exitFailure} {
		got, _, stderr := demo(t, append(flags, "-data", shards, "-tokenizer", name, "-steps", "1", "-sample", "0", "-out", t.TempDir())...)
		require.Equal(t, code, got, stderr)
		if code != exitOK {
			require.Contains(t, stderr, "was prepared with the tokenizer char")
		}
	}
}

// A damaged tokenizer.json of ours is an error; one of Hugging Face is not.
func TestFindTokenizer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	find := func(content string) error {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		_, err := (&source{model: dir}).findTokenizer(defaultOptions().Exp.Config)
		return err
	}
	require.NoError(t, find(`{"version":"1.0","model":{"type":"BPE"}}`))
	require.ErrorIs(t, find(`{"kind":"char","da`), dataset.ErrFormat)
	require.Error(t, find(`{"kind":"char","data":7}`))
}
