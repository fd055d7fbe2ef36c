package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/gorget/gorget/internal/kernel"
)

// process is a contender in a process of its own, so that its peak memory is
// its own, its threads sleep while others are timed, and it may be written in
// another language. The parent writes a line with a number of steps, the child
// answers with a line of JSON, a report; before the first it sends one that
// says what it is. At the end of its input it exits.
type process struct {
	label   string
	peer    bool   // not ours: it may fail
	info    string // what it said of itself
	version string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

// start runs the command and waits until it is ready.
func start(label string, cmd *exec.Cmd) (*process, error) {
	p := &process{label: label, cmd: cmd}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewReader(stdout)
	var stderr tail
	cmd.Stderr = &stderr
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready, err := p.receive()
	if err != nil {
		p.stdin.Close()
		cmd.Wait()
		return nil, fmt.Errorf("%w: %s", err, stderr.lastLine())
	}
	p.info, p.version = ready.Info, ready.Version
	return p, nil
}

func (p *process) name() string { return p.label }

func (p *process) run(steps int) (report, error) {
	if _, err := fmt.Fprintln(p.stdin, steps); err != nil {
		return report{}, err
	}
	return p.receive()
}

func (p *process) receive() (report, error) {
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		return report{}, fmt.Errorf("the process ended early: %w", err)
	}
	var r report
	if err := json.Unmarshal(line, &r); err != nil {
		return report{}, fmt.Errorf("answer %q: %w", line, err)
	}
	if r.Error != "" {
		return report{}, errors.New(r.Error)
	}
	return r, nil
}

func (p *process) close() error {
	p.stdin.Close()
	return p.cmd.Wait()
}

// tail keeps the last bytes written: the end of a child's error output.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	if extra := len(t.text) - 4096; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(b), nil
}

func (t *tail) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return lines[len(lines)-1]
}

// childVariable holds, in the environment of a child that is this program
// again, what it is to run.
const childVariable = "GORGET_BENCHMARK_CHILD"

// spawn starts this program again to run the job, with further variables in its
// environment.
func spawn(ctx context.Context, j job, environment ...string) (*process, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, executable)
	cmd.Env = append(append(os.Environ(), childVariable+"="+string(text)), environment...)
	p, err := start(j.Subject, cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Subject, err)
	}
	return p, nil
}

// contender is what the job asks for.
func (j job) contender() (contender, error) {
	if j.Subject == portableGemm && j.Gemm != nil {
		return gemmContender(*j.Gemm), nil
	}
	return newTrainer(j)
}

// serve is the child's side: it makes the contender of the job and runs steps
// as the lines of in ask. It returns the exit code.
func serve(text string, in io.Reader, out io.Writer) int {
	answer := json.NewEncoder(out)
	fail := func(err error) int {
		answer.Encode(report{Error: err.Error()})
		return 1
	}
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return fail(err)
	}
	subject, err := j.contender()
	if err != nil {
		return fail(err)
	}
	defer subject.close()
	answer.Encode(report{Info: kernel.InstructionSet()})
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		steps, err := strconv.Atoi(lines.Text())
		if err != nil {
			return fail(err)
		}
		r, err := subject.run(steps)
		if err != nil {
			return fail(err)
		}
		if err := answer.Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

// peakRSS is the largest resident set that this process had, 0 where the
// system does not tell. (getrusage is no help: a child inherits its parent's.)
func peakRSS() uint64 {
	kib, err := strconv.ParseUint(strings.TrimSuffix(procField("/proc/self/status", "VmHWM"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
