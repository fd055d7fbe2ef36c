package solvers

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/groups"
)

// Grouped gives parameter groups to solvers that know none: each group has a
// solver of its own. See [NewGrouped]. It is not safe for concurrent use.
type Grouped struct {
	table
	grad    gradConfig
	solvers []gorgonia.Solver
	lists   [][]gorgonia.ValueGrad // by group, reused by each Step
	norm    float64
	seen    map[any]*slot // by memory of the gradient
	steps   int           // done
	before  func(step int, g *groups.Group, s gorgonia.Solver)
}

var _ gorgonia.Solver = (*Grouped)(nil)

// NewGrouped makes a solver that hands each group to a solver of its own,
// which newSolver makes; an empty group gets none. newSolver may read the
// group's settings: Grouped itself does nothing with them.
//
//	solvers.NewGrouped(gs, func(g *groups.Group) (gorgonia.Solver, error) {
//		return gorgonia.NewAdamSolver(gorgonia.WithLearnRate(1e-3 * g.Mult())), nil
//	}, solvers.WithClipGlobalNorm(1))
func NewGrouped(gs *groups.Groups, newSolver func(*groups.Group) (gorgonia.Solver, error), opts ...GroupedOption) (*Grouped, error) {
	t, err := newTable(gs)
	if err != nil {
		return nil, err
	}
	if newSolver == nil {
		return nil, errors.New("solvers: newSolver = nil, want a function that makes a solver for a group")
	}
	s := &Grouped{table: t, grad: gradConfig{scale: 1}, seen: map[any]*slot{}}
	for i, o := range opts {
		if o == nil {
			return nil, nilOption(i)
		}
		o.setGrouped(s)
	}
	if err := s.grad.validate(); err != nil {
		return nil, err
	}
	for _, g := range gs.All() {
		var own gorgonia.Solver
		if len(g.Params) > 0 {
			if own, err = newSolver(g); err != nil {
				return nil, errors.Wrapf(err, "solvers: solver of group %s", g.Name)
			}
			if own == nil {
				return nil, errors.Errorf("solvers: solver of group %s = nil, want a gorgonia.Solver", g.Name)
			}
		}
		s.solvers = append(s.solvers, own)
		s.lists = append(s.lists, make([]gorgonia.ValueGrad, len(g.Params)))
	}
	return s, nil
}

type groupedOnly func(*Grouped)

func (o groupedOnly) setGrouped(s *Grouped) { o(s) }

// WithBeforeStep calls f with each group and its solver before that solver
// steps, to change its options over a run: the schedules that Gorgonia's
// solvers do not have. step counts from 1; a Step that failed is counted again.
//
//	solvers.WithBeforeStep(func(step int, _ *groups.Group, s gorgonia.Solver) {
//		gorgonia.WithLearnRate(1e-3 * schedule.At(step))(s)
//	})
//
// The default is nil: nothing is called. Take care that gorgonia.WithLearnRate
// does nothing to an AdaGradSolver.
func WithBeforeStep(f func(step int, g *groups.Group, s gorgonia.Solver)) GroupedOption {
	return groupedOnly(func(s *Grouped) { s.before = f })
}

// Step checks and clips all gradients, and then lets each group's solver step
// with the group's parameters, always in the group's order: Gorgonia's solvers
// keep their state by position.
//
// The parameters must be those of the groups, each once. A gradient that is
// nil is refused, because the solvers of Gorgonia cannot skip one; so is one
// that is not finite. Nothing has changed then. If a group's solver fails, the
// error names the group; the groups before it have moved.
func (s *Grouped) Step(params []gorgonia.ValueGrad) error {
	if err := s.resolve(params, Refuse); err != nil {
		return err
	}
	if err := s.refuseSharedGrads(); err != nil {
		return err
	}
	norm, err := s.globalNorm()
	if err != nil {
		return err
	}
	s.norm = norm * s.grad.scale
	if by := s.grad.factor(s.norm); by != 1 {
		for _, p := range s.slots {
			p.scaleGrad(by)
		}
	}
	i := 0
	for k, list := range s.lists {
		for j := range list {
			list[j] = s.slots[i].given
			i++
		}
		if s.solvers[k] == nil {
			continue
		}
		g := s.groups.All()[k]
		if s.before != nil {
			s.before(s.steps+1, g, s.solvers[k])
		}
		if err := s.solvers[k].Step(list); err != nil {
			return errors.Wrapf(err, "solvers: group %s", g.Name)
		}
	}
	s.steps++
	return nil
}

// refuseSharedGrads refuses two parameters that have one gradient in memory, as
// Gorgonia's VM without BindDualValues gives it to the operands of a sum: a
// stock solver zeroes it after the first of the two.
func (s *Grouped) refuseSharedGrads() error {
	clear(s.seen)
	for _, p := range s.slots {
		memory := p.gradMemory()
		if first := s.seen[memory]; first != nil {
			return paramErr(p.param.Name(), ErrSharedGrad, "with %s, bind them with gorgonia.BindDualValues", first.param.Name())
		}
		s.seen[memory] = p
	}
	return nil
}

// GradNorm is the global L2 norm of the gradients of the last Step, after the
// gradient scale and before clipping.
func (s *Grouped) GradNorm() float64 { return s.norm }

// Groups are the groups that the solver was made with.
func (s *Grouped) Groups() *groups.Groups { return s.groups }

// Solver is the solver of the named group, nil if there is none. Its options
// can be changed between steps by applying them to it:
// gorgonia.WithLearnRate(x)(s.Solver("decay")).
func (s *Grouped) Solver(group string) gorgonia.Solver {
	for i, g := range s.groups.All() {
		if g.Name == group {
			return s.solvers[i]
		}
	}
	return nil
}
