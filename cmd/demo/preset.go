package main

import (
	"fmt"
	"io"

	"github.com/gorget/gorget/presets"
)

// presetSteps is the length of a run of a preset unless -steps says another.
const presetSteps = 1000

func presetNames() (names []string) {
	for _, s := range presets.Systems() {
		names = append(names, s.Name)
	}
	return names
}

// usePreset makes the experiment that of a system's tiny variant.
func (o *options) usePreset(name string, choice presets.Choice) error {
	system, err := presets.Named(name)
	if err != nil {
		return usagef("-preset: %v", err)
	}
	if choice == "" {
		choice = presets.AsPublished
	}
	o.Preset, o.Choice = name, choice
	o.Exp, err = system.Experiment(1, presetSteps, choice)
	return err
}

// settlePreset follows the flags that were given: the schedule keeps the
// recipe's proportions in a run of any length, and what the system computes
// from the number of channels is computed again.
func (o *options) settlePreset(given map[string]bool) error {
	system, err := presets.Named(o.Preset)
	if err != nil {
		return usagef("preset: %v", err)
	}
	e := &o.Exp
	if given["channels"] {
		e.Config = system.Fit(e.Config)
	}
	if given["steps"] && e.Steps > 0 {
		fresh, err := system.Experiment(1, e.Steps, o.Choice)
		if err != nil {
			return usagef("preset: %v", err)
		}
		warmup := e.Recipe.Schedule.Warmup
		e.Recipe.Schedule, e.Recipe.TrainSteps = fresh.Recipe.Schedule, e.Steps
		if given["warmup"] {
			e.Recipe.Schedule.Warmup = warmup
		}
	}
	return nil
}

// describePreset tells which recipe of which system a run follows, and what
// was made of its schedule.
func describePreset(w io.Writer, o *options) error {
	if o.Preset == "" {
		return nil
	}
	system, err := presets.Named(o.Preset)
	if err != nil {
		return err
	}
	size := system.Sizes[0]
	full, err := size.RecipeFor(o.Choice)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "preset   a tiny %s with the recipe of %s, %v\n", system.Title, size.Name, o.Choice)
	fmt.Fprintf(w, "         its schedule of %d steps in proportion: %s\n", full.TrainSteps, scheduleText(full, o.Exp.Recipe))
	if o.Exp.Recipe.Optimizer == presets.AdamW {
		fmt.Fprintf(w, "         its peak learning rate is that of %s; so small a model bears a larger one, see -lr\n", size.Name)
	}
	fmt.Fprintf(w, "         (where each number is from: go run ./cmd/demo systems %s -size %s -recipe %s)\n", system.Name, size.Name, string(o.Choice))
	return nil
}

// scheduleText says how the lengths of a schedule changed.
func scheduleText(from, to presets.Recipe) string {
	text := fmt.Sprintf("run %d -> %d", from.TrainSteps, to.TrainSteps)
	for _, part := range []struct {
		name     string
		from, to int
	}{
		{"warm-up", from.Schedule.Warmup, to.Schedule.Warmup},
		{"hold", from.Schedule.Hold, to.Schedule.Hold},
		{"end of the fall", from.Schedule.Steps, to.Schedule.Steps},
	} {
		if part.from > 0 || part.to > 0 {
			text += fmt.Sprintf(", %s %d -> %d", part.name, part.from, part.to)
		}
	}
	return text
}

// decayText is a recipe's weight decay in words.
func decayText(r presets.Recipe) string {
	if r.Optimizer == presets.Adafactor {
		return fmt.Sprintf("%g lr^2", r.WeightDecay)
	}
	return fmt.Sprintf("%g (%v)", r.WeightDecay, r.Mode)
}
