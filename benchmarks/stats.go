package main

import (
	"math"
	"slices"
)

// median of xs, which it leaves as they are; NaN if there are none.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Clone(xs)
	slices.Sort(s)
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}

// medianRatio is the median over the rounds of num/den. What disturbs a whole
// round disturbs both, so this is steadier than the ratio of two medians.
func medianRatio(num, den []float64) float64 {
	ratios := make([]float64, min(len(num), len(den)))
	for i := range ratios {
		ratios[i] = num[i] / den[i]
	}
	return median(ratios)
}

// exponent fits y = c x^p by least squares over the logarithms and returns p.
func exponent(x, y []float64) float64 {
	var mx, my float64
	for i := range x {
		mx += math.Log(x[i]) / float64(len(x))
		my += math.Log(y[i]) / float64(len(x))
	}
	var sxy, sxx float64
	for i := range x {
		dx := math.Log(x[i]) - mx
		sxy += dx * (math.Log(y[i]) - my)
		sxx += dx * dx
	}
	return sxy / sxx
}

// rates is amount by each of seconds.
func rates(amount float64, seconds []float64) []float64 {
	out := make([]float64, len(seconds))
	for i, s := range seconds {
		out[i] = amount / s
	}
	return out
}
