package solvers

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/internal/kernel"
)

// State is all that a solver remembers between steps, by parameter name. The
// names within are PyTorch's.
type State struct {
	Solver string                // "adamw" or "adafactor"
	Step   int                   // steps of the solver, which schedules count
	Params map[string]ParamState // by Param.Name
}

// ParamState is the state of one parameter.
type ParamState struct {
	// Step counts the updates of this parameter, which the bias correction
	// needs. It is below State.Step if steps without a gradient were skipped.
	Step int
	// Tensors are exp_avg, exp_avg_sq, and max_exp_avg_sq with AMSGrad: of the
	// parameter's shape and dtype.
	Tensors map[string]*tensor.Dense
}

// StateError says how a state does not fit a solver. Each list is sorted.
type StateError struct {
	Missing  []string // the solver has these, the state does not: "name" or "name/tensor"
	Extra    []string // the state has these, the solver does not
	Reshaped []string // shape, dtype or order in memory differs: "name/tensor: (2,3) float32, want (3,2) float32"
	Invalid  []string // "name: step = -1, want >= 0" or "name/tensor[7] = NaN, want a finite number"
}

// Error lists the names.
func (e *StateError) Error() string {
	var parts []string
	for _, l := range []struct {
		label string
		names []string
	}{{"missing", e.Missing}, {"extra", e.Extra}, {"reshaped", e.Reshaped}, {"invalid", e.Invalid}} {
		if len(l.names) > 0 {
			parts = append(parts, l.label+": "+strings.Join(l.names, ", "))
		}
	}
	return "solvers: the state does not fit: " + strings.Join(parts, "; ")
}

// State is a snapshot: a copy that later steps do not change.
func (c *core) State() State {
	st := c.StateView()
	for _, p := range st.Params {
		for name, t := range p.Tensors {
			p.Tensors[name] = t.Clone().(*tensor.Dense)
		}
	}
	return st
}

// StateView is the state without a copy: its tensors are the solver's own, to
// be read until the next Step and not to be written. Use it to save a large
// state.
func (c *core) StateView() State {
	st := State{Solver: c.name, Step: c.steps, Params: map[string]ParamState{}}
	for _, s := range c.slots {
		s.ensureState(len(c.moments))
		p := ParamState{Step: s.step, Tensors: map[string]*tensor.Dense{}}
		for i, name := range c.moments {
			p.Tensors[name] = s.stateTensor(i)
		}
		st.Params[s.param.Name()] = p
	}
	return st
}

func (s *slot) stateTensor(i int) *tensor.Dense {
	opts := []tensor.ConsOpt{tensor.WithShape(s.param.Shape()...)}
	if s.isF32() {
		opts = append(opts, tensor.WithBacking(s.f32.state[i]))
	} else {
		opts = append(opts, tensor.WithBacking(s.f64.state[i]))
	}
	return tensor.New(opts...)
}

// Restore makes the solver continue from st, which a solver of the same kind
// and options wrote, for parameters of the same names, shapes and dtypes in
// any order. It copies. If anything does not fit it changes nothing and returns
// a [*StateError]. Hyperparameters are not part of the state: they are a
// function of the options and the step.
func (c *core) Restore(st State) error {
	if st.Solver != c.name {
		return errors.Errorf("solvers: the state is of solver %q, want %q", st.Solver, c.name)
	}
	if e := c.misfit(st); e != nil {
		return e
	}
	for _, s := range c.slots {
		s.ensureState(len(c.moments))
		p := st.Params[s.param.Name()]
		for i, name := range c.moments {
			f32, f64, _ := graph.Floats(p.Tensors[name]) // misfit has looked at it
			if s.isF32() {
				copy(s.f32.state[i], f32)
			} else {
				copy(s.f64.state[i], f64)
			}
		}
		s.step = p.Step
		s.bounds = s.maxState()
	}
	c.steps = st.Step
	return nil
}

// misfit is nil if st can be restored.
func (c *core) misfit(st State) error {
	e := &StateError{}
	if st.Step < 0 {
		e.Invalid = append(e.Invalid, fmt.Sprintf("step = %d, want >= 0", st.Step))
	}
	for _, s := range c.slots {
		name := s.param.Name()
		p, ok := st.Params[name]
		if !ok {
			e.Missing = append(e.Missing, name)
			continue
		}
		if p.Step < 0 || p.Step > st.Step {
			e.Invalid = append(e.Invalid, fmt.Sprintf("%s: step = %d, want 0 <= step <= %d", name, p.Step, st.Step))
		}
		for _, m := range c.moments {
			s.misfit(e, name+"/"+m, m, p.Tensors[m])
		}
		for m := range p.Tensors {
			if !slices.Contains(c.moments, m) {
				e.Extra = append(e.Extra, name+"/"+m)
			}
		}
	}
	for name := range st.Params {
		if c.byParam[c.groups.Params().Get(name)] == nil {
			e.Extra = append(e.Extra, name)
		}
	}
	found := false
	for _, l := range [][]string{e.Missing, e.Extra, e.Reshaped, e.Invalid} {
		slices.Sort(l)
		found = found || len(l) > 0
	}
	if !found {
		return nil
	}
	return e
}

func (s *slot) misfit(e *StateError, label, moment string, t *tensor.Dense) {
	if t == nil {
		e.Missing = append(e.Missing, label)
		return
	}
	if !slices.Equal(t.Shape(), s.param.Shape()) || t.Dtype() != s.param.Dtype() {
		e.Reshaped = append(e.Reshaped, fmt.Sprintf("%s: %v %v, want %v %v", label, t.Shape(), t.Dtype(), s.param.Shape(), s.param.Dtype()))
		return
	}
	f32, f64, err := graph.Floats(t)
	if err != nil {
		e.Reshaped = append(e.Reshaped, fmt.Sprintf("%s: %v", label, err))
		return
	}
	signed := moment == "exp_avg"
	i, x := firstInvalid(f32, signed)
	if i < 0 {
		i, x = firstInvalid(f64, signed)
	}
	if i >= 0 {
		want := "a finite number"
		if !signed {
			want = "a finite number >= 0"
		}
		e.Invalid = append(e.Invalid, fmt.Sprintf("%s[%d] = %v, want %s", label, i, x, want))
	}
}

// firstInvalid finds a number that is not finite, or negative where that
// cannot be; -1 if there is none.
func firstInvalid[T kernel.Float](x []T, signed bool) (index int, value float64) {
	for i, v := range x {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) || (!signed && f < 0) {
			return i, f
		}
	}
	return -1, 0
}
