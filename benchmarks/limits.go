package main

import (
	"github.com/gorget/gorget/internal/kernel"
	"github.com/gorget/gorget/internal/machine"
)

// peakContenders compute at the machine's peak rate; there is none in a build
// without assembly.
func peakContenders(s settings) []contender {
	if machine.Burst() == 0 {
		s.note("  no assembly here: the peak is not measured")
		return nil
	}
	return []contender{local{label: "fma_peak", step: func() error { machine.Burst(); return nil }}}
}

// peakRates is the peak in FLOP/s, by round; nil if it was not measured.
func peakRates(results []series) []float64 {
	if len(results) == 0 {
		return nil
	}
	return rates(machine.Burst(), results[0].seconds)
}

// copyContenders copy 2n floats: they touch as much memory as the w, g, m and v
// of n parameters take.
func copyContenders(n int) []contender {
	src, dst := ramp[float32](2*n), ramp[float32](2*n) // written to: pages never touched are all one page of zeros
	contenders := []contender{local{label: "memmove", step: func() error { machine.Copy(dst, src); return nil }}}
	if machine.StreamCopy(dst, src) {
		contenders = append(contenders, local{label: "stream", step: func() error { machine.StreamCopy(dst, src); return nil }})
	}
	return contenders
}

// copyRates is the bandwidth of the faster of copyContenders in B/s, read and
// written, by round.
func copyRates(results []series, n int) []float64 {
	var best []float64
	for _, r := range results {
		if bandwidth := rates(16*float64(n), r.seconds); best == nil || median(bandwidth) > median(best) {
			best = bandwidth
		}
	}
	return best
}

// ramp is n numbers between 0.5 and 1.5.
func ramp[T kernel.Float](n int) []T {
	xs := make([]T, n)
	for i := range xs {
		xs[i] = 0.5 + T(i*37%101)/101
	}
	return xs
}
