package golden

import "math"

// Float is the set of element types that can be compared.
type Float interface{ float32 | float64 }

// MaxDiff is the largest |got[i] - want[i]|. It is +Inf if the lengths differ or
// if one side alone is NaN or infinite, so that no tolerance accepts it.
func MaxDiff[G, W Float](got []G, want []W) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst := 0.0
	for i, g := range got {
		d := math.Abs(float64(g) - float64(want[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}

// RelErr is MaxDiff over the largest |want[i]|: the error in units of the
// tensor's size. If want is all zero it is 0 when got is too, else +Inf.
func RelErr[G, W Float](got []G, want []W) float64 {
	diff := MaxDiff(got, want)
	if diff == 0 || math.IsInf(diff, 1) {
		return diff
	}
	size := 0.0
	for _, w := range want {
		size = max(size, math.Abs(float64(w)))
	}
	return diff / size
}
