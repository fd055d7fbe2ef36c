package graph

import (
	"fmt"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Problem is one finding of [Audit].
type Problem struct {
	Param string // name of the parameter or leaf
	What  string // what is wrong with it, and what is wanted
}

// AuditError lists everything that Audit found.
type AuditError struct{ Problems []Problem }

// Error lists the problems, one a line after the first.
func (e *AuditError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph: audit found %d problem(s)", len(e.Problems))
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s: %s", p.Param, p.What)
	}
	return b.String()
}

// Audit walks the graph from the cost and checks that what will be trained is
// what the registry says:
//
//   - every float leaf is a registered parameter or declared data ([Params.Input]);
//   - every parameter that is not frozen reaches the cost;
//   - every parameter has a value of its own: two names for one tensor must be
//     declared with [Params.Tie].
//
// It returns an *[AuditError] that names each offender, nil if there is none.
// That each parameter is in exactly one group is checked where groups are made.
func Audit(cost *gorgonia.Node, ps *Params) error {
	switch {
	case cost == nil || ps == nil:
		return errors.New("graph: Audit needs a cost and Params, got nil")
	case ps.g == nil || cost.Graph() != ps.g:
		return errors.New("graph: the cost belongs to another graph than the Params")
	}
	var e AuditError
	report := func(name, format string, args ...any) {
		e.Problems = append(e.Problems, Problem{name, fmt.Sprintf(format, args...)})
	}

	reached := map[*gorgonia.Node]bool{}
	for _, n := range ancestors(cost) {
		reached[n] = true
		isFloat := n.Dtype() == tensor.Float32 || n.Dtype() == tensor.Float64
		if isLeaf(n) && isFloat && ps.byNode[n] == nil && !ps.inputs[n] {
			report(n.Name(), "the cost depends on this leaf of shape %v, but it is neither a parameter (New, Adopt) nor declared as data (Input)", n.Shape())
		}
	}
	first := map[any]string{} // address of the first element -> name
	for _, p := range ps.list {
		if !p.frozen && !reached[p.node] {
			report(p.name, "the cost does not depend on it, so it would never be trained; leave it out or Freeze it")
		}
		v := p.Value()
		if v == nil {
			report(p.name, "it has no value")
			continue
		}
		f32, f64, err := Floats(v)
		if err != nil {
			report(p.name, "%v", err)
			continue
		}
		var addr any
		if f32 != nil {
			addr = &f32[0]
		} else {
			addr = &f64[0]
		}
		if other, taken := first[addr]; taken {
			report(p.name, "it shares its tensor with %s; use one node for both and declare the second name with Tie", other)
		}
		first[addr] = p.name
	}
	if len(e.Problems) > 0 {
		return &e
	}
	return nil
}
