package solvers

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/groups"
)

// PlanRow is what one step does to one group.
type PlanRow struct {
	Step  int
	Group string
	groups.Rate
}

// Plan is a table of rows in order of step, then of group.
type Plan []PlanRow

// Plan works out the first steps steps of a run before any is made: the
// learning rate, lambda, shrink and timescale of each group.
func (c *core) Plan(steps int) (Plan, error) {
	var out Plan
	for step := 1; step <= steps; step++ {
		rows, err := c.PlanStep(step)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// PlanStep is the part of the plan that is about one step (1 is the first of a
// run): a row for each group.
func (c *core) PlanStep(step int) (Plan, error) {
	hs, err := c.hypersAt(step)
	if err != nil {
		return nil, err
	}
	var out Plan
	for i, g := range c.groups.All() {
		out = append(out, PlanRow{step, g.Name, groups.Rate{LR: hs[i].lr, Lambda: hs[i].lambda, Shrink: hs[i].shrink}})
	}
	return out, nil
}

// WriteCSV writes the plan with the header
// step,group,lr,weight_decay,shrink,tau_steps; tau_steps is empty without decay.
func (p Plan) WriteCSV(w io.Writer) error {
	b := csv.NewWriter(w)
	b.Write([]string{"step", "group", "lr", "weight_decay", "shrink", "tau_steps"})
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, r := range p {
		tau := ""
		if r.Shrink > 0 {
			tau = number(r.Tau())
		}
		b.Write([]string{strconv.Itoa(r.Step), r.Group, number(r.LR), number(r.Lambda), number(r.Shrink), tau})
	}
	b.Flush()
	return errors.Wrap(b.Error(), "solvers: plan")
}
