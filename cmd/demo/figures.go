package main

import (
	"fmt"
	"image/color"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gorget/gorget/train"
)

// curves keeps what the figures show.
type curves struct {
	train.Nothing
	steps []train.Step
	evals []train.Eval
	looks []train.Inspection
}

// Step keeps the record.
func (c *curves) Step(s train.Step) error { c.steps = append(c.steps, s); return nil }

// Eval keeps the record.
func (c *curves) Eval(e train.Eval) error { c.evals = append(c.evals, e); return nil }

// Inspect keeps the record.
func (c *curves) Inspect(in train.Inspection) error { c.looks = append(c.looks, in); return nil }

// series is one run of a figure, or the only one, without a name.
type series struct {
	name string
	*curves
}

// The colours of a figure's runs: blue, orange and green of Okabe and Ito's
// palette, which people with colour blindness can tell apart.
var runColors = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
}

// drawLoss draws the training loss, averaged over some steps, as a line, and
// the validation loss as points. The file's ending says the format.
func drawLoss(path string, runs []series) error {
	p := newPlot("loss", "step", "nats a token")
	for i, r := range runs {
		line := plotter.XYs{}
		// A window of a fiftieth of the run.
		width := max(1, len(r.steps)/50)
		for lo := 0; lo < len(r.steps); lo += width {
			var sum float64
			n := 0
			for _, s := range r.steps[lo:min(lo+width, len(r.steps))] {
				if !math.IsNaN(s.Loss) && s.Skipped == "" {
					sum, n = sum+s.Loss, n+1
				}
			}
			if n > 0 {
				line = append(line, plotter.XY{X: float64(r.steps[lo].Step + width/2), Y: sum / float64(n)})
			}
		}
		points := plotter.XYs{}
		for _, e := range r.evals {
			points = append(points, plotter.XY{X: float64(e.Step), Y: e.Loss})
		}
		if err := addRun(p, legendName(r.name, "training"), legendName(r.name, "validation"), line, points, runColors[i%len(runColors)]); err != nil {
			return err
		}
	}
	return save(p, path)
}

// drawRates draws the learning rate and the weight decay, each as a share of its
// peak.
func drawRates(path string, c *curves) error {
	p := newPlot("learning rate and weight decay", "step", "share of the peak")
	for i, r := range []struct {
		name string
		of   func(train.Step) float64
	}{{"learning rate", train.Step.LR}, {"weight decay", train.Step.WeightDecay}} {
		line, peak := plotter.XYs{}, 0.0
		for _, s := range c.steps {
			line = append(line, plotter.XY{X: float64(s.Step), Y: r.of(s)})
			peak = max(peak, r.of(s))
		}
		if peak == 0 {
			continue
		}
		for k := range line {
			line[k].Y /= peak
		}
		if err := addRun(p, fmt.Sprintf("%s, peak %.3g", r.name, peak), "", line, nil, runColors[i]); err != nil {
			return err
		}
	}
	return save(p, path)
}

// drawInside draws one number of each look inside a step, a line for each role.
func drawInside(path, title string, c *curves, of func(train.Inside) float64) error {
	if len(c.looks) == 0 {
		return nil
	}
	p := newPlot(title, "step", "")
	for i, row := range c.looks[0].Rows {
		line := plotter.XYs{}
		for _, l := range c.looks {
			if y := of(l.Rows[i]); !math.IsNaN(y) && !math.IsInf(y, 0) {
				line = append(line, plotter.XY{X: float64(l.Step), Y: y})
			}
		}
		if err := addRun(p, fmt.Sprintf("%v (%s)", row.Role, row.Group), "", line, nil, plotutil.Color(i)); err != nil {
			return err
		}
	}
	p.Y.Min, p.Y.Max = 0, p.Y.Max*1.5 // room for the legend
	return save(p, path)
}

func legendName(run, what string) string {
	if run == "" {
		return what
	}
	return run + ", " + what
}

// addRun adds a line and points of one colour, each with its legend if it is
// not empty.
func addRun(p *plot.Plot, lineName, pointName string, line, points plotter.XYs, c color.Color) error {
	if len(line) > 0 {
		l, err := plotter.NewLine(line)
		if err != nil {
			return errors.Wrap(err, "figure")
		}
		l.Color, l.Width = c, vg.Points(1.2)
		p.Add(l)
		p.Legend.Add(lineName, l)
	}
	if len(points) > 0 {
		s, err := plotter.NewScatter(points)
		if err != nil {
			return errors.Wrap(err, "figure")
		}
		s.Color, s.Shape, s.Radius = c, draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(s)
		p.Legend.Add(pointName, s)
	}
	return nil
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(2)
	p.Add(plotter.NewGrid())
	return p
}

func save(p *plot.Plot, path string) error {
	return errors.Wrap(p.Save(18*vg.Centimeter, 11*vg.Centimeter, path), "figure")
}
