package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/gorget/gorget/train"
)

// console shows a run to a person: a progress bar on a terminal, a line now
// and then elsewhere.
type console struct {
	w       io.Writer
	bar     *progressbar.ProgressBar // nil: plain lines
	steps   int
	every   int // steps between plain lines
	started time.Time
	first   int
}

// newConsole shows a run of the given length on w.
func newConsole(w io.Writer, steps int) *console {
	c := &console{w: w, steps: steps, every: max(1, steps/20), started: time.Now(), first: -1}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		c.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionEnableColorCodes(os.Getenv("NO_COLOR") == ""), progressbar.OptionFullWidth())
	}
	return c
}

// Step advances the bar, or prints a line.
func (c *console) Step(s train.Step) error {
	if c.first < 0 {
		c.first, c.started = s.Step-1, time.Now().Add(-time.Duration(s.Seconds*float64(time.Second)))
	}
	state := fmt.Sprintf("loss %.4f  lr %.2e  %6.0f tokens/s", s.Loss, s.LR(), s.TokensPerSecond())
	if s.Skipped != "" {
		fmt.Fprintf(c.w, "step %d skipped: %s\n", s.Step, s.Skipped)
	}
	if c.bar != nil {
		c.bar.Describe(state)
		return c.bar.Set(s.Step)
	}
	if s.Step == 1 || s.Step%c.every == 0 || s.Step == c.steps {
		_, err := fmt.Fprintf(c.w, "step %*d/%d  %s  %s left\n", len(fmt.Sprint(c.steps)), s.Step, c.steps, state, c.left(s.Step))
		return err
	}
	return nil
}

// left is the remaining time at the speed so far.
func (c *console) left(step int) time.Duration {
	each := time.Since(c.started) / time.Duration(step-c.first)
	return (each * time.Duration(c.steps-step)).Round(time.Second)
}

// Eval prints a line.
func (c *console) Eval(e train.Eval) error {
	c.clear()
	_, err := fmt.Fprintf(c.w, "step %*d/%d  validation loss %.4f\n", len(fmt.Sprint(c.steps)), e.Step, c.steps, e.Loss)
	return err
}

// Inspect prints the warnings.
func (c *console) Inspect(in train.Inspection) error {
	for _, w := range in.Warnings {
		c.clear()
		if _, err := fmt.Fprintln(c.w, "warning:", w); err != nil {
			return err
		}
	}
	return nil
}

// clear removes the bar, so that a line can stand in its place.
func (c *console) clear() {
	if c.bar != nil {
		c.bar.Clear()
	}
}

// done ends the bar.
func (c *console) done() {
	if c.bar != nil {
		c.bar.Clear()
	}
}
