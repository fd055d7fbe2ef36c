package kernel

import "fmt"

// grain is the length of the pieces that a long slice is cut into: large
// enough to hide the cost of a task, short enough (some 20 us) that assembly,
// which cannot be preempted, never holds up the garbage collector.
// A multiple of dropoutGroup.
const grain = 1 << 14

// rowGrain is the number of rows of cols elements that make a task of about
// grain elements.
func rowGrain(cols int) int { return max(1, grain/max(1, cols)) }

// checkLen panics unless every slice of the kernel called name has at least n
// elements: assembly does not check bounds.
func checkLen[T any](name string, n int, slices ...[]T) {
	for i, s := range slices {
		if len(s) < n {
			panic(fmt.Sprintf("kernel: %s: slice %d has %d elements, want %d", name, i, len(s), n))
		}
	}
}
