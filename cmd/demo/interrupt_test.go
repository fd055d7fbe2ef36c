package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cancelAt ends a context when a text is written.
type cancelAt struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (c *cancelAt) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.text) {
		c.cancel()
	}
	return c.Buffer.Write(b)
}

func interruptedAt(t *testing.T, text string, args ...string) (out string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var o bytes.Buffer
	e := &cancelAt{text: text, cancel: cancel}
	require.Equal(t, exitInterrupted, dispatch(ctx, args, streams{&o, e}), e.String())
	return o.String()
}

// A Ctrl-C during the closing sample does not lose the summary.
func TestInterruptedSample(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	stdout := interruptedAt(t, "step 12/12  validation", append(flags, "-sample", "100000", "-out", out)...)
	require.Contains(t, stdout, "finished after 12 steps")
	require.FileExists(t, filepath.Join(out, "loss.png"))
}

// A comparison that is interrupted shows what it has.
func TestInterruptedComparison(t *testing.T) {
	_, flags := tiny(t)
	for _, at := range []string{"stock Adam", "AdamW, groups"} {
		out := filepath.Join(t.TempDir(), "run")
		stdout := interruptedAt(t, at, append(flags, "-sample", "0", "-inspect-every", "0", "-compare", "-out", out)...)
		require.Contains(t, stdout, "norm at the end")
		require.Contains(t, stdout, "results in "+out)
		for _, name := range []string{"loss.png", "groups.md", "graph.dot", "run.json"} {
			require.FileExists(t, filepath.Join(out, name))
		}
	}
}
