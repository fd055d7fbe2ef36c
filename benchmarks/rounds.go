package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"
)

// A contender is something whose steps are timed: a function in this process,
// or another process.
type contender interface {
	name() string
	run(steps int) (report, error) // runs the steps one after the other
	close() error
}

// report is what a contender says of the steps it was asked to run. Processes
// send it as one line of JSON.
type report struct {
	Seconds   []float64 `json:"seconds"`             // of each step
	Allocated uint64    `json:"allocated,omitempty"` // bytes of the Go heap, all steps together
	Loss      float64   `json:"loss,omitempty"`      // of the last step
	PeakRSS   uint64    `json:"peak_rss,omitempty"`  // bytes, of the process so far
	Info      string    `json:"info,omitempty"`      // what it is: versions, settings
	Version   string    `json:"version,omitempty"`   // of the peer, in a word
	Error     string    `json:"error,omitempty"`
}

// series is what the rounds gave for one contender.
type series struct {
	seconds   []float64 // the median step of each round; none if it is excused
	allocated float64   // bytes a step; the median round
	last      report
}

// schedule says how the turns of the contenders are cut.
type schedule struct {
	rounds int
	turn   time.Duration // a turn runs as many steps as take about this long
	pause  time.Duration // before each turn: lets the last one's threads go to sleep
	log    io.Writer
}

// Of what takes longer than this, in seconds, a single step warms up, and three
// rounds must do.
const (
	longStep  = 10.0
	longRound = 60.0
)

// alternate lets every contender take a turn in every round. On a machine whose
// speed drifts, only figures of the same round can be compared. The first
// steps of a contender, which allocate and warm up, are not counted.
func alternate(ctx context.Context, s schedule, contenders []contender) ([]series, error) {
	results := make([]series, len(contenders))
	steps := make([]int, len(contenders))
	total := 0.0
	for i, c := range contenders {
		fmt.Fprintf(s.log, "  %s: warming up\n", c.name())
		warm, err := c.run(1)
		if err == nil && warm.Seconds[0] < longStep {
			warm, err = c.run(1)
		}
		if err = s.excuse(ctx, c, err); err != nil {
			return nil, err
		}
		if len(warm.Seconds) == 0 {
			continue
		}
		steps[i] = int(min(max(s.turn.Seconds()/warm.Seconds[0], 1), 1000))
		total += float64(steps[i]) * warm.Seconds[0]
	}
	rounds := s.rounds
	if total > longRound {
		rounds = min(rounds, 3)
	}
	allocated := make([][]float64, len(contenders))
	for round := range rounds {
		for i, c := range contenders {
			if steps[i] == 0 {
				continue // excused
			}
			if err := sleep(ctx, s.pause); err != nil {
				return nil, err
			}
			r, err := c.run(steps[i])
			if err = s.excuse(ctx, c, err); err != nil {
				return nil, err
			}
			if len(r.Seconds) == 0 {
				steps[i], results[i] = 0, series{}
				continue
			}
			results[i].seconds = append(results[i].seconds, median(r.Seconds))
			allocated[i] = append(allocated[i], float64(r.Allocated)/float64(len(r.Seconds)))
			results[i].last = r
			fmt.Fprintf(s.log, "  round %d/%d  %s: %.4g s\n", round+1, rounds, c.name(), median(r.Seconds))
		}
	}
	for i := range results {
		results[i].allocated = median(allocated[i])
	}
	return results, nil
}

// excuse lets a peer fail, for want of memory perhaps, with a note: it is then
// out of the comparison, and its series is empty. Others may not fail.
func (s schedule) excuse(ctx context.Context, c contender, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	err = fmt.Errorf("%s: %w", c.name(), err)
	if p, ok := c.(*process); ok && p.peer {
		fmt.Fprintf(s.log, "  %v\n", err)
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	return ctx.Err()
}

// local is a contender in this process.
type local struct {
	label   string
	prepare func() // before each step, not timed; may be nil
	step    func() error
}

func (l local) name() string { return l.label }
func (l local) close() error { return nil }

// run times each step, and counts what all of them allocate.
func (l local) run(steps int) (report, error) {
	r := report{Seconds: make([]float64, 0, steps)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range steps {
		if l.prepare != nil {
			l.prepare()
		}
		start := time.Now()
		if err := l.step(); err != nil {
			return report{}, err
		}
		r.Seconds = append(r.Seconds, time.Since(start).Seconds())
	}
	runtime.ReadMemStats(&after)
	r.Allocated = after.TotalAlloc - before.TotalAlloc
	return r, nil
}
