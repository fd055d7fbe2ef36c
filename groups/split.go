package groups

import (
	"strings"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
)

// Groups is a partition of the trainable parameters: each is in exactly one
// group. Frozen parameters are in none. It does not change once it is made.
type Groups struct {
	name, source string
	params       *graph.Params
	list         []*Group
	frozen       []*graph.Param
	of           map[*graph.Param]assignment
}

type assignment struct {
	group *Group
	why   string
}

// Split puts every trainable parameter into the group that the policy names
// for it. Overrides are rules that beat all rules of the policy; among
// overrides, as within the policy, a rule by name beats one by role, and that
// one by class.
//
// It is an error if two rules of the same level disagree on a parameter
// ([ErrConflict], naming both), if no rule covers one ([ErrNoRule]), if an
// override matches nothing ([ErrUnusedOverride]), or if a group stays empty
// that the policy does not permit to ([ErrEmptyGroup]).
func Split(params *graph.Params, policy Policy, overrides ...Rule) (*Groups, error) {
	if params == nil {
		return nil, errors.New("groups: params = nil, want graph.Params")
	}
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	if err := policy.validateRules(overrides); err != nil {
		return nil, err
	}
	gs := newGroups(policy.Name, policy.Source, params)
	byName := map[string]*Group{}
	for _, spec := range policy.Groups {
		g := &Group{Name: spec.Name, Settings: spec.Settings, MayBeEmpty: spec.MayBeEmpty}
		gs.list = append(gs.list, g)
		byName[g.Name] = g
	}
	used := make([]bool, len(overrides))
	for _, p := range params.Trainable() {
		rule, isOverride, err := decide(p, policy.Rules, overrides, used)
		if err != nil {
			return nil, err
		}
		why := rule.Why
		if isOverride {
			why = "override " + rule.String() + ": " + why
		}
		g := byName[rule.Group]
		g.Params = append(g.Params, p)
		gs.of[p] = assignment{g, why}
	}
	for i, r := range overrides {
		if !used[i] {
			return nil, errors.Wrapf(ErrUnusedOverride, "groups: policy %s: %v", policy.Name, r)
		}
	}
	if err := gs.checkEmpty(); err != nil {
		return nil, err
	}
	return gs, nil
}

// decide finds the rule for p: the strongest level that has one, overrides
// first. It marks the overrides that match.
func decide(p *graph.Param, rules, overrides []Rule, used []bool) (rule Rule, isOverride bool, err error) {
	for i, r := range overrides {
		used[i] = used[i] || r.matches(p)
	}
	for i, set := range [][]Rule{overrides, rules} {
		for level := range numLevels {
			if r, ok, err := agreed(p, set, level); err != nil || ok {
				return r, i == 0, err
			}
		}
	}
	return Rule{}, false, errors.Wrapf(ErrNoRule, "groups: parameter %s with role %v", p.Name(), p.Role())
}

// agreed is the first rule of the level that matches p, if all that match send
// p to the same group.
func agreed(p *graph.Param, rules []Rule, level int) (found Rule, ok bool, err error) {
	for _, r := range rules {
		if r.level() != level || !r.matches(p) {
			continue
		}
		if ok && r.Group != found.Group {
			return Rule{}, false, errors.Wrapf(ErrConflict, "groups: parameter %s: %v (%s) and %v (%s)",
				p.Name(), found, found.Why, r, r.Why)
		}
		if !ok {
			found, ok = r, true
		}
	}
	return found, ok, nil
}

// New makes groups by hand. Every trainable parameter of params must be in
// exactly one of them ([ErrNotInOneGroup], listing the names), and no frozen or
// foreign one. The groups are copied.
func New(params *graph.Params, list []Group) (*Groups, error) {
	if params == nil {
		return nil, errors.New("groups: params = nil, want graph.Params")
	}
	gs := newGroups("by hand", "", params)
	seen := map[string]bool{}
	for _, g := range list {
		if g.Name == "" || seen[g.Name] {
			return nil, errors.Errorf("groups: group name = %q, want unique names", g.Name)
		}
		seen[g.Name] = true
		if err := g.Settings.Validate(); err != nil {
			return nil, errors.WithMessagef(err, "groups: group %s", g.Name)
		}
		g.Params = append([]*graph.Param(nil), g.Params...)
		if err := gs.add(&g); err != nil {
			return nil, err
		}
	}
	var missing []string
	for _, p := range params.Trainable() {
		if gs.of[p].group == nil {
			missing = append(missing, p.Name())
		}
	}
	if missing != nil {
		return nil, errors.Wrapf(ErrNotInOneGroup, "groups: parameters in no group: %s", strings.Join(missing, ", "))
	}
	if err := gs.checkEmpty(); err != nil {
		return nil, err
	}
	return gs, nil
}

// add appends a group made by hand.
func (gs *Groups) add(g *Group) error {
	why := g.Why
	if why == "" {
		why = "assigned by hand"
	}
	for _, p := range g.Params {
		switch {
		case p == nil:
			return errors.Errorf("groups: group %s has a nil parameter", g.Name)
		case gs.params.Get(p.Name()) != p:
			return errors.Errorf("groups: group %s: parameter %s is not of these Params", g.Name, p.Name())
		case p.Frozen():
			return errors.Errorf("groups: group %s: parameter %s is frozen, want it in no group", g.Name, p.Name())
		case gs.of[p].group != nil:
			return errors.Wrapf(ErrNotInOneGroup, "groups: parameter %s is in groups %s and %s", p.Name(), gs.of[p].group.Name, g.Name)
		}
		gs.of[p] = assignment{g, why}
	}
	gs.list = append(gs.list, g)
	return nil
}

func newGroups(name, source string, params *graph.Params) *Groups {
	gs := &Groups{name: name, source: source, params: params, of: map[*graph.Param]assignment{}}
	for _, p := range params.All() {
		if p.Frozen() {
			gs.frozen = append(gs.frozen, p)
		}
	}
	return gs
}

func (gs *Groups) checkEmpty() error {
	if len(gs.list) == 0 || len(gs.of) == 0 {
		return errors.Wrap(ErrEmptyGroup, "groups: no trainable parameter in any group")
	}
	for _, g := range gs.list {
		if len(g.Params) == 0 && !g.MayBeEmpty {
			return errors.Wrapf(ErrEmptyGroup, "groups: %s: group %s", gs.name, g.Name)
		}
	}
	return nil
}

// Policy is the name of the policy that made the groups.
func (gs *Groups) Policy() string { return gs.name }

// All lists the groups in order. The caller must not change them.
func (gs *Groups) All() []*Group { return gs.list }

// Params is the registry whose parameters are grouped.
func (gs *Groups) Params() *graph.Params { return gs.params }

// Frozen lists the parameters that are in no group because they are not
// trained.
func (gs *Groups) Frozen() []*graph.Param { return gs.frozen }

// Of is the group of a parameter, nil if it is in none.
func (gs *Groups) Of(p *graph.Param) *Group { return gs.of[p].group }

// Why is the reason for which a parameter is in its group.
func (gs *Groups) Why(p *graph.Param) string { return gs.of[p].why }

// Named finds a group, nil if there is none of that name.
func (gs *Groups) Named(name string) *Group {
	for _, g := range gs.list {
		if g.Name == name {
			return g
		}
	}
	return nil
}
