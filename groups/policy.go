package groups

import (
	"fmt"
	"path"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/graph"
)

// Policy says which group each parameter belongs to. It is data: it can be
// printed, compared, changed, and kept as JSON. A policy of your own is a
// Policy literal, or one of this package's with rules added.
type Policy struct {
	Name   string      `json:"name"`
	Source string      `json:"source"` // where the rules come from: a paper or a file at a commit
	Groups []GroupSpec `json:"groups"` // the groups, in order
	Rules  []Rule      `json:"rules"`
}

// GroupSpec is a group that a policy makes.
type GroupSpec struct {
	Name string `json:"name"`
	Settings
	// MayBeEmpty permits that no parameter falls into the group. Otherwise an
	// empty group is an error: it is the trace of a rule that does not work.
	MayBeEmpty bool `json:"may_be_empty,omitempty"`
}

// Rule sends the parameters that it matches to a group. Exactly one of Name,
// Role and Class is set. A rule by name beats a rule by role, and that a rule
// by class.
type Rule struct {
	// Name is a glob over the parameter's name and its aliases, as in
	// path.Match; * also spans dots ("*.bias", "h.[01].attn.*").
	Name  string      `json:"name,omitempty"`
	Role  graph.Role  `json:"role,omitempty"`
	Class graph.Class `json:"class,omitempty"`
	Group string      `json:"group"`
	Why   string      `json:"why"` // required: it is printed for every parameter
}

// String is the rule as reports and errors quote it: role=norm_gain -> no_decay.
func (r Rule) String() string {
	switch {
	case r.Name != "":
		return fmt.Sprintf("name=%q -> %s", r.Name, r.Group)
	case r.Role != graph.RoleUnset:
		return fmt.Sprintf("role=%v -> %s", r.Role, r.Group)
	}
	return fmt.Sprintf("class=%v -> %s", r.Class, r.Group)
}

// Validate refuses a policy without name, with unnamed or repeated groups, or
// with a rule that is malformed or has no reason.
func (p Policy) Validate() error {
	if p.Name == "" {
		return errors.New("groups: policy without a name")
	}
	if len(p.Groups) == 0 {
		return errors.Errorf("groups: policy %s has no groups", p.Name)
	}
	seen := map[string]bool{}
	for _, g := range p.Groups {
		if g.Name == "" || seen[g.Name] {
			return errors.Errorf("groups: policy %s: group name = %q, want unique names", p.Name, g.Name)
		}
		seen[g.Name] = true
		if err := g.Settings.Validate(); err != nil {
			return errors.WithMessagef(err, "groups: policy %s: group %s", p.Name, g.Name)
		}
	}
	return p.validateRules(p.Rules)
}

func (p Policy) validateRules(rules []Rule) error {
	for _, r := range rules {
		if err := r.validate(p.Groups); err != nil {
			return errors.WithMessagef(err, "groups: policy %s: rule %v", p.Name, r)
		}
	}
	return nil
}

func (r Rule) validate(specs []GroupSpec) error {
	keys := 0
	for _, set := range []bool{r.Name != "", r.Role != graph.RoleUnset, r.Class != graph.ClassUnset} {
		if set {
			keys++
		}
	}
	if keys != 1 {
		return errors.Errorf("has %d of name, role and class, want exactly one", keys)
	}
	if _, err := path.Match(r.Name, ""); err != nil {
		return errors.Wrapf(err, "glob = %q", r.Name)
	}
	if r.Role != graph.RoleUnset && !r.Role.Valid() {
		return errors.Errorf("role = %d, want a role of package graph", r.Role)
	}
	if r.Class > graph.ClassScalar {
		return errors.Errorf("class = %d, want a class of package graph", r.Class)
	}
	if r.Why == "" {
		return errors.New("has no reason, want why to be set")
	}
	for _, g := range specs {
		if g.Name == r.Group {
			return nil
		}
	}
	return errors.Errorf("group = %q, want a group of the policy", r.Group)
}

// The levels at which rules stand, strongest first.
const (
	byName = iota
	byRole
	byClass
	numLevels
)

func (r Rule) level() int {
	switch {
	case r.Name != "":
		return byName
	case r.Role != graph.RoleUnset:
		return byRole
	}
	return byClass
}

// matches reports whether r speaks of p.
func (r Rule) matches(p *graph.Param) bool {
	switch r.level() {
	case byName:
		if globMatch(r.Name, p.Name()) {
			return true
		}
		for _, alias := range p.Aliases() {
			if globMatch(r.Name, alias) {
				return true
			}
		}
		return false
	case byRole:
		return r.Role == p.Role()
	}
	return r.Class == p.Role().Class()
}

// globMatch is path.Match for a pattern that was validated.
func globMatch(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}
