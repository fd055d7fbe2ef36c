package train

import "math"

// window is the number of steps that outliers are judged against, and that
// must have passed before any step is judged: llm.c's 128.
const window = 128

// gauge keeps the last values of a series.
type gauge struct{ values []float64 }

// z is how many standard deviations x lies above the mean of the window, 0
// until the window is full.
func (g *gauge) z(x float64) float64 {
	if len(g.values) < window {
		return 0
	}
	var mean, variance float64
	for _, v := range g.values {
		mean += v / window
	}
	for _, v := range g.values {
		variance += (v - mean) * (v - mean) / window
	}
	if variance == 0 {
		return 0
	}
	return (x - mean) / math.Sqrt(variance)
}

// add appends x, which the next steps are judged against even if it was an
// outlier itself: a level that stays is no outlier for long.
func (g *gauge) add(x float64) {
	g.values = append(g.values, x)
	if len(g.values) > window {
		g.values = append(g.values[:0], g.values[1:]...)
	}
}
