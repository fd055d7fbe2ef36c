package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
	"github.com/gorget/gorget/internal/golden"
)

// trainedRun is the folder of a short run, and its corpus.
func trainedRun(t *testing.T, more ...string) (dir, corpus string) {
	t.Helper()
	corpus, flags := tiny(t)
	dir = filepath.Join(t.TempDir(), "run")
	code, _, stderr := demo(t, append(append(flags, "-out", dir), more...)...)
	require.Zero(t, code, stderr)
	return dir, corpus
}

// sampled is an object of sample -json.
type sampled struct {
	Sample       int
	Prompt, Text string
	Tokens       []int32
	Reason       string
}

func sampledRows(t *testing.T, out string) (rows []sampled) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(out))
	for dec.More() {
		var s sampled
		require.NoError(t, dec.Decode(&s))
		rows = append(rows, s)
	}
	return rows
}

func TestSampleFromARun(t *testing.T) {
	dir, _ := trainedRun(t)
	code, out, stderr := demo(t, "sample", "-run", dir, "-prompt", "the ", "-n", "40")
	require.Zero(t, code, stderr)
	require.True(t, strings.HasPrefix(out, "the "))
	require.Equal(t, len("the ")+40+len("\n"), len(out), "a character a token, beyond the context of 16")
	require.Contains(t, stderr, "step 12")
	require.Contains(t, stderr, "40 tokens")

	code, again, _ := demo(t, "sample", "-run", dir, "-prompt", "the ", "-n", "40", "-json")
	require.Zero(t, code)
	rows := sampledRows(t, again)
	require.Len(t, rows, 1)
	require.Equal(t, "max_tokens", rows[0].Reason)
	require.Len(t, rows[0].Tokens, 40)
	require.Equal(t, out, rows[0].Prompt+rows[0].Text+"\n", "the same text whether streamed or not")

	// More samples than the decoder takes at a time; the first is the one above.
	code, many, _ := demo(t, "sample", "-run", dir, "-prompt", "the ", "-n", "40", "-json", "-samples", "11")
	require.Zero(t, code)
	require.Equal(t, rows[0], sampledRows(t, many)[0])
	require.Len(t, sampledRows(t, many), 11)
	require.NotEqual(t, rows[0].Tokens, sampledRows(t, many)[1].Tokens)
	code, text, _ := demo(t, "sample", "-run", dir, "-prompt", "the ", "-n", "40", "-samples", "2")
	require.Zero(t, code)
	require.Contains(t, text, "--- sample 1\n"+out)

	code, out, _ = demo(t, "sample", "-run", dir, "-n", "40", "-full-context", "stop", "-json")
	require.Zero(t, code)
	require.Equal(t, "context_full", sampledRows(t, out)[0].Reason)
	code, out, _ = demo(t, "sample", "-run", dir, "-n", "400", "-temperature", "0", "-repeat-length", "1", "-repeat-times", "2", "-json")
	require.Zero(t, code)
	require.Equal(t, "repetition", sampledRows(t, out)[0].Reason)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, _, _ = demoWith(t, ctx, "sample", "-run", dir)
	require.Equal(t, exitInterrupted, code)
}

func TestEvalOfARunIsItsValidation(t *testing.T) {
	dir, corpus := trainedRun(t)
	var last float64
	for _, row := range rowsOf(t, filepath.Join(dir, "metrics.jsonl")) {
		if loss, ok := row["val_loss"].(float64); ok {
			last = loss
		}
	}
	var e evaluation
	code, out, stderr := demo(t, "eval", "-run", dir, "-json")
	require.Zero(t, code, stderr)
	require.NoError(t, json.Unmarshal([]byte(out), &e))
	require.Equal(t, last, e.Loss)
	require.InDelta(t, math.Exp(last), e.Perplexity, 1e-9)
	require.Equal(t, 16, e.Context)

	// The same text by -data, and by -tokens in both formats.
	val := filepath.Join(t.TempDir(), "val.txt")
	text, err := os.ReadFile(corpus)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(val, text[len(text)*9/10:], 0o644))
	code, out, stderr = demo(t, "eval", "-run", dir, "-data", val, "-batch", "3")
	require.Zero(t, code, stderr)
	require.Contains(t, out, fmt.Sprintf("loss %.4f, perplexity %.4g: %d tokens of %s in blocks of 16", last, math.Exp(last), e.Tokens, val))
	for _, format := range []string{"llmc", "nanogpt"} {
		shards := filepath.Join(t.TempDir(), "shards")
		code, _, stderr = demo(t, "prepare", "-out", shards, "-format", format, corpus)
		require.Zero(t, code, stderr)
		code, out, stderr = demo(t, "eval", "-run", dir, "-tokens", filepath.Join(shards, "val.bin"), "-json")
		require.Zero(t, code, stderr)
		var other evaluation
		require.NoError(t, json.Unmarshal([]byte(out), &other))
		require.InDelta(t, e.Loss, other.Loss, 1e-6)
		require.Equal(t, e.Tokens, other.Tokens)
	}
	code, out, _ = demo(t, "eval", "-run", dir, "-json", "-max-tokens", "33", "-context", "8")
	require.Zero(t, code)
	require.NoError(t, json.Unmarshal([]byte(out), &e))
	require.Equal(t, 32, e.Tokens)
	require.Equal(t, 8, e.Context)
}

func TestEvalOfAveragedWeights(t *testing.T) {
	dir, _ := trainedRun(t, "-ema", "0.5")
	var last float64
	for _, row := range rowsOf(t, filepath.Join(dir, "metrics.jsonl")) {
		if loss, ok := row["val_loss"].(float64); ok {
			last = loss
		}
	}
	loss := func(args ...string) float64 {
		var e evaluation
		code, out, stderr := demo(t, append([]string{"eval", "-run", dir, "-json"}, args...)...)
		require.Zero(t, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(out), &e))
		return e.Loss
	}
	require.Equal(t, last, loss("-ema"), "what the run validates")
	require.NotEqual(t, last, loss())
}

// A model folder that transformers wrote, against the logits that it computed.
func TestModelFolder(t *testing.T) {
	for _, name := range []string{"hf-gpt2", "hf-llama", "hf-mixtral"} {
		t.Run(name, func(t *testing.T) {
			dir, file := golden.Dir(t, name), golden.Load(t, name)
			ids := file.Tensor(t, "ids").Rows()[1].I32
			logits := file.Tensor(t, "logits").Rows()[1].Rows() // (T,V)

			var nats float64
			for i, target := range ids[1:] {
				var z float64
				for _, l := range logits[i].Float64() {
					z += math.Exp(l)
				}
				nats += math.Log(z) - logits[i].Float64()[target]
			}
			shard := filepath.Join(t.TempDir(), "ids.bin")
			w, err := dataset.CreateShard(shard, dataset.LLMC)
			require.NoError(t, err)
			require.NoError(t, w.Write(ids))
			require.NoError(t, w.Close())
			code, out, stderr := demo(t, "eval", "-model", dir, "-tokens", shard, "-json")
			require.Zero(t, code, stderr)
			var e evaluation
			require.NoError(t, json.Unmarshal([]byte(out), &e))
			require.Equal(t, len(ids)-1, e.Tokens)
			require.InDelta(t, nats/float64(len(ids)-1), e.Loss, 1e-5)

			best, last := 0, logits[4].Float64()
			for i, l := range last {
				if l > last[best] {
					best = i
				}
			}
			prompt := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids[:5]), " ", ","), "[]")
			code, out, stderr = demo(t, "sample", "-model", dir, "-prompt-tokens", prompt, "-n", "1", "-temperature", "0")
			require.Zero(t, code, stderr)
			require.Equal(t, fmt.Sprintln(best, ""), out)

			code, _, stderr = demo(t, "sample", "-model", dir)
			require.Equal(t, exitFailure, code)
			require.Contains(t, stderr, "no tokenizer is known")
			code, _, stderr = demo(t, "sample", "-model", dir, "-tokenizer", "gpt2")
			require.Equal(t, exitFailure, code)
			require.Contains(t, stderr, "the tokenizer has 50257 tokens, want at most 29")
		})
	}
}

// GORGET_STORIES260K names the folder of a pretrained LLaMA with its vocabulary
// tok512.bin and the greedy text of llama2.c; gorget ships no weights.
func TestStoriesGreedyText(t *testing.T) {
	dir := os.Getenv("GORGET_STORIES260K")
	if dir == "" {
		t.Skip("opt-in: set GORGET_STORIES260K to a folder with the pretrained stories260K model (README, Tests)")
	}
	want, err := os.ReadFile(filepath.Join(dir, "unconditioned_greedy.txt"))
	require.NoError(t, err)
	for prompt, n := range map[string]string{"": "256", "Once upon a time": "252"} {
		code, out, stderr := demo(t, "sample", "-model", dir, "-tokenizer", filepath.Join(dir, "tok512.bin"), "-temperature", "0", "-n", n, "-prompt", prompt)
		require.Zero(t, code, stderr)
		require.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(out))
	}
}

func TestWrongCommandLinesOfTrainedModels(t *testing.T) {
	dir, corpus := trainedRun(t)
	foreign := filepath.Join(t.TempDir(), "foreign.txt")
	require.NoError(t, os.WriteFile(foreign, []byte("a text with \u20ac"), 0o644))
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "want -run or -model", []string{"sample"}},
		{exitUsage, "want -run or -model", []string{"eval", "-run", dir, "-model", dir}},
		{exitUsage, "-ema and -best go with -run", []string{"eval", "-model", dir, "-ema", "-data", corpus}},
		{exitUsage, "unexpected argument", []string{"sample", "-run", dir, "now"}},
		{exitUsage, "not defined", []string{"eval", "-rum", dir}},
		{exitUsage, "temperature = -1", []string{"sample", "-run", dir, "-temperature", "-1"}},
		{exitUsage, "top_p = 2", []string{"sample", "-run", dir, "-top-p", "2"}},
		{exitUsage, "max_new = 0", []string{"sample", "-run", dir, "-n", "0"}},
		{exitUsage, `full_context = roll`, []string{"sample", "-run", dir, "-full-context", "roll"}},
		{exitUsage, "-samples = 0", []string{"sample", "-run", dir, "-samples", "0"}},
		{exitUsage, "exclude each other", []string{"sample", "-run", dir, "-prompt", "a", "-prompt-tokens", "1"}},
		{exitUsage, "want numbers", []string{"sample", "-run", dir, "-prompt-tokens", "1,b"}},
		{exitUsage, "exclude each other", []string{"eval", "-run", dir, "-tokens", corpus, "-data", corpus}},
		{exitUsage, "-tokens or -data is missing", []string{"eval", "-model", dir}},
		{exitUsage, "-batch = 0", []string{"eval", "-run", dir, "-batch", "0"}},
		{exitUsage, "-context = 17, want 1 to the model's 16", []string{"eval", "-run", dir, "-context", "17"}},
		{exitUsage, "-max-tokens = -1", []string{"eval", "-run", dir, "-max-tokens", "-1"}},
		{exitFailure, "no such file", []string{"sample", "-run", none}},
		{exitFailure, "config.json", []string{"eval", "-model", none, "-data", corpus}},
		{exitFailure, "no tensors \"ema\"", []string{"sample", "-run", dir, "-ema"}},
		{exitFailure, "token 0 of prompt 0 = 9999", []string{"sample", "-run", dir, "-prompt-tokens", "9999"}},
		{exitFailure, "-prompt: ", []string{"sample", "-run", dir, "-prompt", "\u20ac"}},
		{exitFailure, "foreign.txt: ", []string{"eval", "-run", dir, "-data", foreign}},
		{exitFailure, "not a valid file of its kind", []string{"eval", "-run", dir, "-tokens", corpus}},
	} {
		code, _, stderr := demo(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.want, "%v", c.args)
	}
	require.NoDirExists(t, none)
	for _, verb := range []string{"sample", "eval"} {
		code, _, stderr := demo(t, verb, "-h")
		require.Zero(t, code)
		require.Contains(t, stderr, "-model", verb)
	}
}
