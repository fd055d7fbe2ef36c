package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakePeer, in the environment, makes the test binary act as a Python that runs
// a peer's script.
const fakePeer = "GORGET_TEST_PEER"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childVariable) != "":
		os.Exit(serve(os.Getenv(childVariable), os.Stdin, os.Stdout))
	case os.Getenv(fakePeer) != "":
		os.Exit(actAsPeer(os.Getenv(fakePeer), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// actAsPeer speaks the protocol: each step takes it a second, or it fails to
// start.
func actAsPeer(behaviour string, args []string) int {
	if len(args) != 3 || args[0] != "-c" || !strings.Contains(args[1], "def main()") || !json.Valid([]byte(args[2])) {
		return 1
	}
	if behaviour == "missing" {
		fmt.Fprintln(os.Stderr, "ModuleNotFoundError: No module named 'torch'")
		return 1
	}
	answer := json.NewEncoder(os.Stdout)
	answer.Encode(report{Info: "a fake", Version: "2.0"})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		steps, err := strconv.Atoi(lines.Text())
		if err != nil {
			return 1
		}
		if behaviour == "failing" && steps > 1 {
			return 1
		}
		r := report{Loss: 4, PeakRSS: 1 << 30}
		for range steps {
			r.Seconds = append(r.Seconds, 1)
		}
		answer.Encode(r)
	}
	return 0
}

// withPeer makes this binary the Python of the settings.
func withPeer(t *testing.T, behaviour string, s settings) settings {
	t.Helper()
	t.Setenv(fakePeer, behaviour)
	executable, err := os.Executable()
	require.NoError(t, err)
	s.pythons, s.peers = []string{executable}, true
	return s
}

// quick are settings for one turn of a step or two.
func quick(log io.Writer) settings {
	return settings{schedule: schedule{rounds: 2, log: log}, pythons: []string{"/nonexistent/python"}}
}

var tiny = gptCase{Name: "tiny", L: 2, C: 16, H: 2, V: 11, Context: 8, B: 2, T: 6}

// values maps the names of the rows to their values; all must be positive.
func values(t *testing.T, rows []row, name string) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	for _, r := range rows {
		require.Equal(t, name, r.Case)
		require.NotContains(t, found, r.Name, "each figure is printed once")
		require.NotEmpty(t, r.Unit)
		require.GreaterOrEqual(t, r.Value, 0.0, r.Name)
		found[r.Name] = r.Value
	}
	return found
}

func run(args ...string) (code int, stdout, stderr string) {
	var out, log bytes.Buffer
	code = command(context.Background(), args, &out, &log)
	return code, out.String(), log.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-h"}, 0, "usage: go run ./benchmarks"},
		{[]string{"-nosuchflag"}, 2, "-nosuchflag"},
		{[]string{"train_step"}, 2, `argument "train_step"`},
		{[]string{"-only", "nosuch"}, 2, `no benchmark "nosuch"`},
		{[]string{"-only", "gemm,train_step:1.5B"}, 2, `train_step has no case "1.5B"`},
		{[]string{"-rounds", "0"}, 2, "-rounds 0"},
		{[]string{"-turn", "-1s"}, 2, "-turn -1s"},
		{[]string{"-json", "-markdown"}, 2, "want one of them"},
		{[]string{"-only", "copy_bandwidth:1e6", "-cpuprofile", "/nonexistent/file"}, 1, "/nonexistent/file"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, stdout, stderr := run(c.args...)
			require.Equal(t, c.code, code)
			require.Contains(t, stderr, c.stderr)
			require.Empty(t, stdout)
		})
	}
}

func TestList(t *testing.T) {
	code, stdout, _ := run("-list")
	require.Zero(t, code)
	require.Contains(t, stdout, "train_step 0.8M 10.7M 124M (124M_T1024) (350M)\n")
	require.Contains(t, stdout, "stock_adam_step 1e6 1e7 124e6\n")
}

func TestJSONIsAnObjectALine(t *testing.T) {
	code, stdout, stderr := run("-json", "-only", "copy_bandwidth:1e6,adamw_step:1e6", "-rounds", "1", "-turn", "0")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "round 1/1")
	names := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		require.Len(t, fields, 4)
		require.Equal(t, "1e6", fields["case"])
		require.IsType(t, 0.0, fields["value"])
		require.NotEmpty(t, fields["unit"])
		names[fields["name"].(string)] = true
	}
	require.Contains(t, names, "adamw_step")
	require.Contains(t, names, "adamw_step_of_copy_bandwidth")
}

func TestMarkdownAndProfile(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu.out")
	code, stdout, stderr := run("-markdown", "-only", "adamw_kernel:1e6", "-rounds", "1", "-turn", "0", "-cpuprofile", profile)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, " threads, kernels for ")
	require.Contains(t, stdout, "### Optimizer step\n\n|  | 1e6 |\n|---|---:|\n| adamw_kernel [ns/param] | ")
	info, err := os.Stat(profile)
	require.NoError(t, err)
	require.Positive(t, info.Size())
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, log bytes.Buffer
	require.Equal(t, 1, command(ctx, []string{"-only", "copy_bandwidth:1e6"}, &out, &log))
	require.Contains(t, log.String(), "context canceled")
	require.Empty(t, out.String())
}
