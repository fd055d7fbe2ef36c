package groups

import (
	"fmt"
	"strings"

	"github.com/pkg/errors"
)

// Change is a parameter that two partitions treat differently.
type Change struct {
	Name    string `json:"name"`
	Count   int    `json:"count"` // elements
	From    string `json:"from"`  // group in the first
	To      string `json:"to"`    // group in the second
	FromWhy string `json:"from_why"`
	ToWhy   string `json:"to_why"`
}

// Changes is a list of parameters in order of registration.
type Changes []Change

// Diff lists the parameters that are in groups of different names in a and b,
// two partitions of the same parameters.
func Diff(a, b *Groups) (Changes, error) {
	if a == nil || b == nil {
		return nil, errors.New("groups: Diff of a nil partition, want two")
	}
	if a.params != b.params {
		return nil, errors.New("groups: Diff of partitions of different Params, want the same")
	}
	var out Changes
	for _, p := range a.params.Trainable() {
		from, to := a.of[p], b.of[p]
		if from.group == nil || to.group == nil {
			return nil, errors.Wrapf(ErrNotInOneGroup, "groups: Diff: parameter %s was added after the partition was made", p.Name())
		}
		if from.group.Name != to.group.Name {
			out = append(out, Change{p.Name(), p.Size(), from.group.Name, to.group.Name, from.why, to.why})
		}
	}
	return out, nil
}

// String is a line for each change: name, count, from -> to, and both reasons.
func (cs Changes) String() string {
	var b strings.Builder
	for _, c := range cs {
		fmt.Fprintf(&b, "%s (%d): %s -> %s (%s; %s)\n", c.Name, c.Count, c.From, c.To, c.FromWhy, c.ToWhy)
	}
	return b.String()
}
