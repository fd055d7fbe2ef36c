//go:build unix

package checkpoint_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
)

const (
	childDir   = "GORGET_TEST_CHILD_DIR"   // set in a child process: the store
	childLimit = "GORGET_TEST_CHILD_LIMIT" // the largest file in bytes that it may write
	childSteps = 40
)

// wide is large enough for a save to take a while.
var wide = append([]param{{"big", model[1].role, tensor.Shape{300, 200}}}, model...)

// TestChildProcess is what the other tests run in a process of its own: it goes
// on from the latest checkpoint, saves after every step and says so.
func TestChildProcess(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	if limit := os.Getenv(childLimit); limit != "" {
		var n uint64
		_, err := fmt.Sscan(limit, &n)
		require.NoError(t, err)
		signal.Ignore(syscall.SIGXFSZ) // a write that is too long then fails, as on a full disk
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}))
	}
	store := newStore(t, dir, 2)
	r := newRun(t, wide, tensor.Float32, 1)
	if v, _, err := store.Latest(); err == nil {
		require.NoError(t, v.Restore(r.ps, r.adamw))
		require.NoError(t, r.prog.SetSteps(v.Step()))
	} else {
		require.ErrorIs(t, err, checkpoint.ErrNone)
	}
	for r.prog.Steps() < childSteps {
		r.train(t, 1)
		if _, err := store.Save(r.snapshot()); err != nil {
			fmt.Println("failed:", err)
			return
		}
		fmt.Println("saved", r.prog.Steps())
	}
}

func child(dir string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildProcess$")
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	return cmd
}

// A process that is killed again and again, at random times, ends in the bits
// of one that was not, and never loses a step that it said it had saved.
func TestKilledAtRandomTimes(t *testing.T) {
	whole := newRun(t, wide, tensor.Float32, 1)
	whole.train(t, childSteps)

	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	saved, kills := 0, 0
	for saved < childSteps {
		cmd := child(dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		// Kill it some time after it has said something for the first time,
		// so that the loop gets on.
		var timer *time.Timer
		for lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "saved %d", &saved); err == nil && timer == nil {
				timer = time.AfterFunc(time.Duration(rng.IntN(60_000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		if cmd.Wait() != nil {
			kills++
		}
		require.NotNil(t, timer, "the process saved nothing")
		timer.Stop()

		v, damaged, err := newStore(t, dir, 2).Latest()
		require.NoError(t, err)
		require.Empty(t, damaged, "what has its final name is whole")
		require.GreaterOrEqual(t, v.Step(), saved)
		saved = v.Step()
	}
	require.Positive(t, kills)
	r := newRun(t, wide, tensor.Float32, 2)
	v, _, err := newStore(t, dir, 2).Latest()
	require.NoError(t, err)
	require.NoError(t, v.Restore(r.ps, r.adamw))
	require.Equal(t, values(t, whole.ps), values(t, r.ps))
	require.Equal(t, whole.adamw.State(), r.adamw.State())
}

// A disk that is full in the middle of a file: an error that names it, and the
// checkpoint before is what it was.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, wide, tensor.Float32, 1)
	r.train(t, 1)
	path, err := newStore(t, dir, 2).Save(r.snapshot())
	require.NoError(t, err)
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		return info.Size()
	}
	for limit, name := range map[int64]string{
		100:                            "model.safetensors",
		size("model.safetensors") - 1:  "model.safetensors",
		size("solver.safetensors") - 1: "solver.safetensors",
	} {
		out, err := child(dir, fmt.Sprintf("%s=%d", childLimit, limit)).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "failed: ")
		require.Contains(t, string(out), name)
		require.Contains(t, string(out), "file too large")
		require.Equal(t, []string{"latest", "step-00000001"}, dirNames(t, dir), "nothing half-written is left")
		v, damaged, err := newStore(t, dir, 2).Latest()
		require.NoError(t, err)
		require.Empty(t, damaged)
		require.Equal(t, 1, v.Step())
	}
}
