package train

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"

	"github.com/pkg/errors"
)

// CSV writes a table with the columns step, loss, lr, weight_decay, grad_norm,
// tokens_per_second, val_loss, skipped: a row for each step, and one for each
// validation. What a row has no number for is empty; skipped says why a step
// was not applied.
type CSV struct {
	w      *csv.Writer
	header bool
}

// NewCSV writes to w; the header comes with the first row.
func NewCSV(w io.Writer) *CSV { return &CSV{w: csv.NewWriter(w)} }

// Step writes a row.
func (c *CSV) Step(s Step) error {
	return c.row(s.Step, s.Skipped, s.Loss, s.LR(), s.WeightDecay(), s.GradNorm, s.TokensPerSecond(), math.NaN())
}

// Eval writes a row.
func (c *CSV) Eval(e Eval) error {
	nan := math.NaN()
	return c.row(e.Step, "", nan, nan, nan, nan, nan, e.Loss)
}

// Inspect writes nothing: what it has does not fit the table.
func (c *CSV) Inspect(Inspection) error { return nil }

func (c *CSV) row(step int, skipped string, xs ...float64) error {
	if !c.header {
		c.w.Write([]string{"step", "loss", "lr", "weight_decay", "grad_norm", "tokens_per_second", "val_loss", "skipped"})
		c.header = true
	}
	cells := []string{strconv.Itoa(step)}
	for _, x := range xs {
		cell := ""
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			cell = strconv.FormatFloat(x, 'g', -1, 64)
		}
		cells = append(cells, cell)
	}
	c.w.Write(append(cells, skipped))
	c.w.Flush()
	return errors.Wrap(c.w.Error(), "train: metrics")
}
