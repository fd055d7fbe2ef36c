package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

// demo runs a command line and returns its exit status and what it wrote.
func demo(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return demoWith(t, context.Background(), args...)
}

func demoWith(t *testing.T, ctx context.Context, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = dispatch(ctx, args, streams{&o, &e})
	return code, o.String(), e.String()
}

// tiny is a corpus file and the flags of a model that trains in no time.
func tiny(t *testing.T) (file string, flags []string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "corpus.txt")
	require.NoError(t, os.WriteFile(file, []byte(dataset.MadeCorpus(120).Text), 0o644))
	return file, []string{"-data", file, "-layers", "1", "-channels", "16", "-heads", "2", "-context", "16", "-batch", "4",
		"-steps", "12", "-eval-every", "5", "-inspect-every", "4", "-sample", "20"}
}

func rowsOf(t *testing.T, path string) (rows []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var row map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &row), line)
		rows = append(rows, row)
	}
	return rows
}

func TestTrainLeavesItsResults(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := demo(t, append(flags, "-out", out)...)
	require.Zero(t, code, stderr)
	for _, want := range []string{"vocabulary", "parameters", "no_decay", "norm parameters do not decay", "tied to transformer.wte.weight", "validation loss", "the model writes", out} {
		require.Contains(t, stdout, want)
	}
	require.Contains(t, stderr, "tokens/s")
	require.NotContains(t, stderr, "\x1b", "no colours or cursor movements outside of a terminal")

	steps, evals := 0, 0
	for _, row := range rowsOf(t, filepath.Join(out, "metrics.jsonl")) {
		switch {
		case row["val_loss"] != nil:
			evals++
		case row["loss"] != nil:
			steps++
			for _, key := range []string{"step", "lr", "grad_norm", "tokens_per_second"} {
				require.NotNil(t, row[key], key)
			}
		}
	}
	require.Equal(t, 12, steps)
	require.Equal(t, 3, evals)
	f, err := os.Open(filepath.Join(out, "loss.png"))
	require.NoError(t, err)
	defer f.Close()
	_, err = png.Decode(f)
	require.NoError(t, err)
	for name, want := range map[string]string{
		"groups.md": `transformer.h.0.ln\_1.weight`, "graph.dot": "cluster_legend", "plan.csv": "step,group,lr", "run.json": `"weight_decay": 0.1`, "tokenizer.json": "char",
	} {
		b, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Contains(t, string(b), want, name)
	}
}

func TestTrainInJSON(t *testing.T) {
	_, flags := tiny(t)
	code, stdout, stderr := demo(t, append(flags, "-json", "-out", t.TempDir())...)
	require.Zero(t, code, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, line := range lines {
		require.True(t, json.Valid([]byte(line)), line)
	}
	var last struct {
		Summary struct {
			Steps   int     `json:"steps"`
			ValLoss float64 `json:"val_loss"`
		} `json:"summary"`
		Sample string `json:"sample"`
	}
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	require.Equal(t, 12, last.Summary.Steps)
	require.Positive(t, last.Summary.ValLoss)
	require.NotEmpty(t, last.Sample)
}

func TestCompareTrainsThreeTimes(t *testing.T) {
	_, flags := tiny(t)
	out := t.TempDir()
	flags = slices.Delete(flags, len(flags)-4, len(flags)) // it looks into nothing and writes no sample
	code, stdout, stderr := demo(t, append(flags, "-compare", "-figures", "svg", "-out", out)...)
	require.Zero(t, code, stderr)
	for _, want := range []string{"stock Adam + L2", "AdamW, all decay", "AdamW, groups", "norm at the end"} {
		require.Contains(t, stdout, want)
	}
	var first []float64
	for _, name := range []string{"stock-adam-and-l2", "adamw-all-decay", "adamw-groups"} {
		first = append(first, rowsOf(t, filepath.Join(out, "metrics-"+name+".jsonl"))[0]["loss"].(float64))
	}
	require.Equal(t, first[0], first[1], "the same start and the same batch")
	require.Equal(t, first[0], first[2])
	for _, name := range []string{"loss.svg", "norm-norm.svg", "norm-bias.svg", "norm-matrix.svg", "groups.md", "graph.dot", "run.json"} {
		require.FileExists(t, filepath.Join(out, name))
	}
}

func TestInterruptedRunIsResumedToTheSameMetrics(t *testing.T) {
	_, flags := tiny(t)
	whole := filepath.Join(t.TempDir(), "whole")
	code, _, stderr := demo(t, append(flags, "-out", whole)...)
	require.Zero(t, code, stderr)

	out := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // before the first step
	code, _, stderr = demoWith(t, ctx, append(flags, "-out", out)...)
	require.Equal(t, exitInterrupted, code)
	require.Contains(t, stderr, "resume -run "+out)

	code, _, stderr = demo(t, "resume", "-run", out, "-lr", "0.5")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "experiment.recipe.lr")
	code, _, _ = demo(t, "resume", "-run", out, "-prefer", "mine")
	require.Equal(t, exitUsage, code)

	code, stdout, stderr := demo(t, "resume", "-run", out)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "going on after step 0 of 12")
	rows := func(dir string) []map[string]any {
		rs := rowsOf(t, filepath.Join(dir, "metrics.jsonl"))
		for _, r := range rs {
			delete(r, "tokens_per_second")
		}
		return rs
	}
	require.Equal(t, rows(whole), rows(out))
}

func TestVerifyResume(t *testing.T) {
	file, _ := tiny(t)
	for _, stop := range []string{"1", "4", "7"} {
		code, stdout, stderr := demo(t, "verify-resume", "-data", file, "-layers", "1", "-channels", "16", "-heads", "2", "-context", "16", "-batch", "4",
			"-micro", "2", "-steps", "8", "-ema", "0.9", "-stop", stop)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "same bits")
	}
	code, _, _ := demo(t, "verify-resume", "-data", file, "-steps", "8", "-stop", "8")
	require.Equal(t, exitUsage, code)
}

func TestPrepareThenTrainFromShards(t *testing.T) {
	file, flags := tiny(t)
	text := t.TempDir()
	code, _, stderr := demo(t, append(flags, "-out", text)...)
	require.Zero(t, code, stderr)
	for _, format := range []string{"llmc", "nanogpt"} {
		shards, out := filepath.Join(t.TempDir(), "shards"), t.TempDir()
		code, stdout, stderr := demo(t, "prepare", "-out", shards, "-format", format, file)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "tokens to train on")
		code, _, stderr = demo(t, append(flags, "-data", shards, "-out", out)...)
		require.Zero(t, code, stderr)
		require.Equal(t, rowsOf(t, filepath.Join(text, "metrics.jsonl"))[0]["loss"], rowsOf(t, filepath.Join(out, "metrics.jsonl"))[0]["loss"])
	}
}

// /proc is a folder in which not even root can make files.
func TestUnwritableOut(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("needs a /proc, as Linux has")
	}
	_, flags := tiny(t)
	for _, args := range [][]string{{"-out", "/proc/gorget"}, {"-out", "/proc"}} {
		code, _, stderr := demo(t, append(flags, args...)...)
		require.Equal(t, exitFailure, code, args)
		require.Contains(t, stderr, "-out")
		require.NotContains(t, stderr, "step ", "nothing is trained that could not be kept")
	}
}

func TestFineTuneACheckpoint(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(flags, "-out", out)...)
	require.Zero(t, code, stderr)
	folders, err := filepath.Glob(filepath.Join(out, "checkpoints", "step-*12"))
	require.NoError(t, err)
	require.Len(t, folders, 1)
	code, stdout, stderr := demo(t, "sample", "-model", folders[0], "-n", "5")
	require.Zero(t, code, stderr)
	require.NotEmpty(t, stdout)

	file := flags[1]
	tuned, bare := t.TempDir(), t.TempDir() // bare: as other programs leave it
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(folders[0], name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(bare, name), b, 0o644))
	}
	tune := []string{"-model", folders[0], "-data", file, "-steps", "3", "-sample", "0", "-out", tuned}
	code, stdout, stderr = demo(t, append([]string{"train"}, tune...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "1 layers, 16 channels")
	rows, first := rowsOf(t, filepath.Join(tuned, "metrics.jsonl")), rowsOf(t, filepath.Join(out, "metrics.jsonl"))
	require.Less(t, rows[0]["loss"], first[0]["loss"], "it goes on from the trained weights")
	require.Equal(t, 1e-5, rows[0]["lr"].(float64)*0.1, "the gentler recipe")

	code, _, stderr = demo(t, append(append([]string{"verify-resume"}, tune[:len(tune)-2]...), "-stop", "1")...)
	require.Zero(t, code, stderr)
	for want, args := range map[string][]string{
		"no tokenizer": {"-model", bare, "-data", file},
		"want [32":     {"-model", folders[0], "-tokenizer", filepath.Join(out, "tokenizer.json"), "-data", file, "-channels", "32"},
		"config.json":  {"-model", t.TempDir()},
		"exclude":      {"-model", folders[0], "-preset", "palm"},
		"-compare":     {"-model", folders[0], "-compare"},
	} {
		code, _, stderr = demo(t, append(args, "-out", t.TempDir())...)
		require.NotZero(t, code)
		require.Contains(t, stderr, want)
	}
}

func TestConfigFileUnderFlags(t *testing.T) {
	_, flags := tiny(t)
	out := t.TempDir()
	code, _, stderr := demo(t, append(flags, "-out", out, "-lr", "0.002")...)
	require.Zero(t, code, stderr)
	again := t.TempDir()
	code, _, stderr = demo(t, "-min-lr", "0.0001", "-config", filepath.Join(out, "run.json"), "-out", again, "-steps", "3", "-sample", "0")
	require.Zero(t, code, stderr)
	b, err := os.ReadFile(filepath.Join(again, "run.json"))
	require.NoError(t, err)
	require.Contains(t, string(b), `"lr": 0.002`)
	require.Contains(t, string(b), `"channels": 16`)
	require.Contains(t, string(b), `"floor": 0.05`)
}

func TestWrongCommandLines(t *testing.T) {
	file, _ := tiny(t)
	empty := filepath.Join(t.TempDir(), "empty.txt")
	require.NoError(t, os.WriteFile(empty, nil, 0o644))
	short := filepath.Join(t.TempDir(), "short.txt")
	require.NoError(t, os.WriteFile(short, []byte("too short a text"), 0o644))
	blocked := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o644))
	binary := filepath.Join(t.TempDir(), "binary")
	require.NoError(t, os.WriteFile(binary, []byte("text \xff\xfe"), 0o644))
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "unknown command", []string{"tran"}},
		{exitUsage, "not defined", []string{"-lrr", "1"}},
		{exitUsage, "unexpected argument", []string{"train", "now"}},
		{exitUsage, "steps = 0", []string{"-steps", "0"}},
		{exitUsage, "heads", []string{"-heads", "3"}},
		{exitUsage, "-batch = 0", []string{"-batch", "0"}},
		{exitUsage, "policy", []string{"-policy", "mine"}},
		{exitUsage, "-tokenizer", []string{"-tokenizer", "words"}},
		{exitUsage, "invalid value", []string{"-mode", "sideways"}},
		{exitUsage, "non_finite", []string{"-non-finite", "ignore"}},
		{exitFailure, "no such file", []string{"-data", filepath.Join(t.TempDir(), "none.txt")}},
		{exitFailure, "empty", []string{"-data", empty}},
		{exitFailure, "too few tokens", []string{"-data", short}},
		{exitFailure, "UTF-8", []string{"-data", binary}},
		{exitFailure, "-out", []string{"-data", file, "-out", filepath.Join(blocked, "run")}},
		{exitUsage, "beta1", []string{"-data", file, "-beta1", "1", "-out", t.TempDir()}},
		{exitUsage, "NaN", []string{"-data", file, "-lr", "NaN", "-out", t.TempDir()}},
		{exitFailure, "run.json", []string{"resume", "-run", t.TempDir()}},
		{exitUsage, "-run is missing", []string{"resume"}},
		{exitUsage, "exclude", []string{"-config", "run.json", "-model", "."}},
		{exitUsage, "-tokenizer model", []string{"-data", file, "-tokenizer", "model"}},
		{exitUsage, "-keep does not go with -compare", []string{"-compare", "-keep", "3"}},
		{exitUsage, "exclude", []string{"verify-resume", "-run", ".", "-preset", "palm"}},
		{exitUsage, "-best", []string{"sample", "-model", ".", "-best"}},
		{exitUsage, "-tokenizer", []string{"prepare", "-out", "x", "-tokenizer", "words", file}},
		{exitUsage, "-out is missing", []string{"prepare", file}},
		{exitUsage, "no text file", []string{"prepare", "-out", t.TempDir()}},
	} {
		code, _, stderr := demo(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.want, "%v", c.args)
	}
	for verb, want := range map[string]string{"train": "-out", "resume": "-prefer", "prepare": "-out", "verify-resume": "-stop"} {
		code, _, stderr := demo(t, verb, "-h")
		require.Zero(t, code, verb)
		require.Contains(t, stderr, want, verb)
	}
	_, _, stderr := demo(t, "resume", "-h")
	for _, flag := range []string{"-config", "-preset", "-model", "-out", "-compare"} {
		require.NotContains(t, stderr, "  "+flag+" ", "a run that goes on has its own")
	}
	for _, flag := range []string{"-h", "--help", "help"} {
		code, stdout, _ := demo(t, flag)
		require.Zero(t, code)
		for _, c := range commands() {
			require.Contains(t, stdout, c.about)
		}
	}
}
