//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/checkpoint"
)

const (
	childMain  = "GORGET_TEST_DEMO"       // set: the test binary is the demo
	childLimit = "GORGET_TEST_DEMO_LIMIT" // the largest file in bytes that it may write
)

func TestMain(m *testing.M) {
	if os.Getenv(childMain) == "" {
		os.Exit(m.Run())
	}
	var n uint64
	if fmt.Sscan(os.Getenv(childLimit), &n); n > 0 {
		signal.Ignore(syscall.SIGXFSZ) // a write that is too long then fails, as on a full disk
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	main()
}

// child is the demo in a process of its own.
func child(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childMain+"=1")
	return cmd
}

// metricsOf are the rows of a run without what the clock on the wall decides.
func metricsOf(t *testing.T, out string) []map[string]any {
	rows := rowsOf(t, filepath.Join(out, "metrics.jsonl"))
	for _, r := range rows {
		delete(r, "tokens_per_second")
	}
	return rows
}

// A run that is killed again and again, at random times, ends with the metrics
// of one that was not.
func TestKilledRunEndsTheSame(t *testing.T) {
	_, flags := tiny(t)
	flags = append(flags, "-steps", "60", "-sample", "0", "-save-every", "2")
	whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	begun := time.Now()
	require.NoError(t, child(append(flags, "-out", whole)...).Run())
	took := time.Since(begun)

	args := append(flags, "-out", out)
	rng := rand.New(rand.NewPCG(4, 5))
	kills := 0
	for ended := false; !ended; kills++ {
		cmd := child(args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		require.NoError(t, cmd.Start())
		if kills < 8 {
			time.Sleep(time.Duration(rng.Int64N(int64(took))))
			require.NoError(t, cmd.Process.Kill())
		}
		err := cmd.Wait()
		ended = err == nil
		if kills >= 8 {
			require.NoError(t, err, errs.String())
		}
		if exists(filepath.Join(out, "run.json")) {
			args = []string{"resume", "-run", out}
		}
	}
	require.Equal(t, metricsOf(t, whole), metricsOf(t, out))
}

// On a full disk a resumed run fails and loses nothing.
func TestFullDiskLosesNothing(t *testing.T) {
	_, flags := tiny(t)
	flags = append(flags, "-sample", "0")
	whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	require.NoError(t, child(append(flags, "-out", whole)...).Run())
	interrupt(t, append(flags, "-out", out), "step  1/12")
	for _, limit := range []int{1, 300, 1500, 5000} {
		cmd := child("resume", "-run", out)
		cmd.Env = append(cmd.Env, fmt.Sprint(childLimit, "=", limit))
		stderr, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, exitFailure, cmd.ProcessState.ExitCode(), string(stderr))
		require.Contains(t, string(stderr), "file too large")
	}
	require.NoError(t, child("resume", "-run", out).Run())
	require.Equal(t, metricsOf(t, whole), metricsOf(t, out))
}

// interrupt runs the demo, sends it SIGINT when it says something, and returns
// all that it says.
func interrupt(t *testing.T, args []string, at string) string {
	t.Helper()
	cmd := child(args...)
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := waitFor(t, pipe, at)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(pipe)
	require.NoError(t, err)
	cmd.Wait() // its status is checked below
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), string(rest))
	return said + string(rest)
}

// waitFor reads until a text comes.
func waitFor(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	var said strings.Builder
	buf := make([]byte, 1)
	for !strings.Contains(said.String(), text) {
		_, err := r.Read(buf)
		require.NoError(t, err, said.String())
		said.Write(buf)
	}
	return said.String()
}

func TestSignals(t *testing.T) {
	_, flags := tiny(t)
	out := filepath.Join(t.TempDir(), "run")
	flags = append(flags, "-steps", "100000", "-warmup", "10", "-out", out)
	said := interrupt(t, flags, "step      1/100000")
	require.Contains(t, said, "go on with: go run ./cmd/demo resume -run "+out)
	require.NotContains(t, said, "\x1b")
	saved, _, err := checkpoint.Latest(filepath.Join(out, "checkpoints"))
	require.NoError(t, err)
	rows := metricsOf(t, out)
	require.EqualValues(t, saved.Step(), rows[len(rows)-1]["step"], "the step in progress was finished and saved")

	// The second signal ends a step that takes minutes at once.
	cmd := child("-data", flags[1], "-layers", "12", "-channels", "512", "-heads", "8", "-context", "64", "-batch", "64", "-micro", "64", "-out", t.TempDir())
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	waitFor(t, pipe, "no_decay")
	begun := time.Now()
	for range 2 {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		time.Sleep(100 * time.Millisecond) // two at once are one
	}
	cmd.Wait() // its status is checked below
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	require.Less(t, time.Since(begun), 10*time.Second)
}
