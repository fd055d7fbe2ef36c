package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// torchSetup is one way to run PyTorch.
type torchSetup struct {
	python string
	mode   string // eager or compiled
}

// torchSetups are the ways to compare with, none without -peers.
func (s settings) torchSetups(modes ...string) []torchSetup {
	var all []torchSetup
	for _, python := range s.pythons {
		for _, mode := range modes {
			if s.peers && !s.profiled {
				all = append(all, torchSetup{python, mode})
			}
		}
	}
	return all
}

// startTorch starts each setup on the job that names and describes a case. One
// that cannot run is left out with a note: a peer is never required.
func startTorch(ctx context.Context, s settings, setups []torchSetup, benchmark string, theCase any) []contender {
	var contenders []contender
	for _, t := range setups {
		p, err := t.start(ctx, s, benchmark, theCase)
		if err != nil {
			s.note("  no comparison with PyTorch (%s): %v", t.mode, err)
			continue
		}
		s.note("  %s: %s", p.label, p.info)
		contenders = append(contenders, p)
	}
	return contenders
}

// start starts the setup with as many threads as serve it best: one may beat
// all on a step so short that threads have to wait for each other.
func (t torchSetup) start(ctx context.Context, s settings, benchmark string, theCase any) (*process, error) {
	best, time, err := t.startThreads(ctx, s, benchmark, theCase, runtime.GOMAXPROCS(0))
	if err != nil || runtime.GOMAXPROCS(0) == 1 || time > 0.5 { // seconds
		return best, err
	}
	one, oneTime, err := t.startThreads(ctx, s, benchmark, theCase, 1)
	if err != nil {
		return best, nil
	}
	if oneTime < time {
		best, one = one, best
	}
	one.close()
	return best, nil
}

// startThreads starts the setup and returns the seconds of a step.
func (t torchSetup) startThreads(ctx context.Context, s settings, benchmark string, theCase any, threads int) (*process, float64, error) {
	p, err := t.launch(ctx, s, benchmark, theCase, threads)
	if err != nil {
		return nil, 0, err
	}
	r, err := p.run(1) // this one compiles
	if err == nil && r.Seconds[0] < longStep {
		if r, err = p.run(1); err == nil {
			r, err = p.run(3)
		}
	}
	if err != nil {
		p.close()
		return nil, 0, err
	}
	return p, median(r.Seconds), nil
}

func (t torchSetup) launch(ctx context.Context, s settings, benchmark string, theCase any, threads int) (*process, error) {
	env := append(s.torchEnv(), fmt.Sprint("OMP_NUM_THREADS=", threads))
	p, err := startPeer(ctx, benchmark+"_torch", t.python, "torch_step.py", env,
		map[string]any{"subject": benchmark, "mode": t.mode, "threads": threads, "case": theCase})
	if err == nil {
		p.label += "_" + p.version + "_" + t.mode
	}
	return p, err
}

// torchEnv makes PyTorch as fast as it can be. glibc otherwise gives memory
// back after each tensor and gets it again, page by page: a tenth of a step of
// the 124M model, for 7 % less memory. And where PyTorch uses the system's
// OpenBLAS, as Debian's does, that has faster builds and kernels than the ones
// it takes by itself.
func (s settings) torchEnv() []string {
	env := []string{"MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=100000000000", "MALLOC_TOP_PAD_=67108864"}
	if dirs, _ := filepath.Glob("/usr/lib/*/openblas-openmp"); len(dirs) > 0 {
		env = append(env, "LD_LIBRARY_PATH="+strings.TrimSuffix(dirs[0]+":"+os.Getenv("LD_LIBRARY_PATH"), ":"))
	}
	if s.coreType != "" {
		env = append(env, "OPENBLAS_CORETYPE="+s.coreType)
	}
	return env
}
