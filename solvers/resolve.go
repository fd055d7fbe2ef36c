package solvers

import (
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// table holds a slot for each parameter of the groups, in the order of the
// groups, and finds the slots of what is handed to a Step.
type table struct {
	groups  *groups.Groups
	slots   []*slot
	sorted  []*slot // by name: sums over parameters are made in this order
	byParam map[*graph.Param]*slot
}

func newTable(gs *groups.Groups) (table, error) {
	t := table{groups: gs, byParam: map[*graph.Param]*slot{}}
	if gs == nil {
		return t, errors.New("solvers: groups = nil, want groups.Split's or groups.New's")
	}
	for i, g := range gs.All() {
		for _, p := range g.Params {
			s := &slot{param: p, group: i}
			t.slots = append(t.slots, s)
			t.byParam[p] = s
		}
	}
	t.sorted = slices.SortedFunc(slices.Values(t.slots), func(a, b *slot) int {
		return strings.Compare(a.param.Name(), b.param.Name())
	})
	return t, nil
}

// resolve finds the slot of everything that is handed over and sets each
// slot's weight and gradient. It changes nothing that outlives a step.
func (t *table) resolve(vgs []gorgonia.ValueGrad, nilGrad NilGrad) error {
	for _, s := range t.slots {
		s.given, s.active = nil, false
	}
	for _, vg := range vgs {
		s, err := t.find(vg)
		if err != nil {
			return err
		}
		if s.given != nil {
			return &ParamError{s.param.Name(), ErrDuplicateParam}
		}
		s.given = vg
		if err := s.load(nilGrad); err != nil {
			return err
		}
	}
	var missing []string
	anyActive := false
	for _, s := range t.slots {
		if s.given == nil {
			missing = append(missing, s.param.Name())
		}
		anyActive = anyActive || s.active
	}
	if missing != nil {
		return &ParamError{strings.Join(missing, ", "), ErrMissingParam}
	}
	if !anyActive {
		return paramErr(t.slots[0].param.Name(), ErrNilGrad, "no parameter has a gradient, has the graph run? The first")
	}
	return nil
}

// find is the slot of vg: a parameter or node of the registry itself, or
// something that has the name and the very tensor of one (a parameter of a
// registry made by graph.Params.Share).
func (t *table) find(vg gorgonia.ValueGrad) (*slot, error) {
	var p *graph.Param
	switch v := vg.(type) {
	case nil:
		return nil, &ParamError{"<nil>", ErrUnknownParam}
	case *graph.Param:
		if v == nil {
			return nil, &ParamError{"<nil>", ErrUnknownParam}
		}
		p = v
	case *gorgonia.Node:
		if v == nil {
			return nil, &ParamError{"<nil>", ErrUnknownParam}
		}
		p = t.groups.Params().Of(v)
	}
	if s := t.byParam[p]; s != nil {
		return s, nil
	}
	named, ok := vg.(gorgonia.Namer)
	if !ok {
		return nil, paramErr("<no name>", ErrUnknownParam, "a %T", vg)
	}
	name := named.Name()
	known := t.groups.Params().Get(name)
	switch s := t.byParam[known]; {
	case s != nil && vg.Value() == s.param.Value():
		return s, nil
	case s != nil:
		return nil, paramErr(name, ErrUnknownParam, "it has the name of a parameter but another tensor")
	case known != nil && known.Frozen():
		return nil, paramErr(name, ErrUnknownParam, "it is frozen")
	}
	return nil, &ParamError{name, ErrUnknownParam}
}

// load takes the slices of the weight and of the gradient that was given.
func (s *slot) load(nilGrad NilGrad) error {
	name := s.param.Name()
	value := s.given.Value()
	if value == nil {
		return &ParamError{name, errors.New("has no value")}
	}
	grad, err := s.given.Grad()
	if err != nil {
		return &ParamError{name, errors.Wrap(err, "gradient")}
	}
	if grad == nil {
		if nilGrad == Refuse {
			return &ParamError{name, ErrNilGrad}
		}
		return nil
	}
	// A single number has several shapes, all of them the same.
	if !slices.Equal(grad.Shape(), value.Shape()) && !(grad.Size() == 1 && value.Size() == 1) {
		return paramErr(name, ErrMismatch, "gradient of shape %v for a parameter of shape %v", grad.Shape(), value.Shape())
	}
	if grad.Dtype() != value.Dtype() || value.Dtype() != s.param.Dtype() {
		return paramErr(name, ErrMismatch, "gradient of dtype %v for a parameter of dtype %v", grad.Dtype(), s.param.Dtype())
	}
	if s.f32.w, s.f64.w, err = graph.Floats(value); err != nil {
		return &ParamError{name, err}
	}
	if s.f32.g, s.f64.g, err = graph.Floats(grad); err != nil {
		return &ParamError{name, errors.Wrap(err, "gradient")}
	}
	if n := s.param.Size(); len(s.f32.w)+len(s.f64.w) != n || len(s.f32.g)+len(s.f64.g) != n {
		return paramErr(name, ErrMismatch, "value of shape %v, gradient of shape %v, parameter of shape %v",
			value.Shape(), grad.Shape(), s.param.Shape())
	}
	s.active = true
	return nil
}

// globalNorm reads every gradient once and returns the L2 norm of all of them.
// It fails on the first element that is NaN or infinite. The order of
// summation does not depend on the order of registration.
func (t *table) globalNorm() (float64, error) {
	total := 0.0
	for _, s := range t.sorted {
		if s.active {
			s.measure()
			total += s.sumsq
		}
	}
	if total < math.Inf(1) {
		return math.Sqrt(total), nil
	}
	largest := 0.0
	for _, s := range t.sorted {
		if !s.active {
			continue
		}
		if i, x := s.badGrad(); i >= 0 {
			return 0, paramErr(s.param.Name(), ErrNonFinite, "gradient[%d] = %v", i, x)
		}
		largest = max(largest, s.maxGrad())
	}
	// Finite numbers whose squares overflow float64.
	total = 0
	for _, s := range t.sorted {
		if s.active {
			total += s.sumSquaresOver(largest)
		}
	}
	return largest * math.Sqrt(total), nil
}

// sumSquaresOver is the sum of (g/unit)^2.
func (s *slot) sumSquaresOver(unit float64) float64 {
	sum := 0.0
	for _, g := range s.f32.g {
		sum += (float64(g) / unit) * (float64(g) / unit)
	}
	for _, g := range s.f64.g {
		sum += (g / unit) * (g / unit)
	}
	return sum
}
