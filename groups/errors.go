package groups

import "github.com/pkg/errors"

// Errors that callers test for with errors.Is. They come wrapped in a message
// that names the parameter, the group or the rule.
var (
	// ErrConflict: two rules of the same level disagree on a parameter.
	ErrConflict = errors.New("two rules of the same level disagree")
	// ErrNoRule: no rule says to which group a parameter belongs.
	ErrNoRule = errors.New("no rule covers the parameter")
	// ErrEmptyGroup: a group would have no parameter.
	ErrEmptyGroup = errors.New("the group is empty")
	// ErrNotInOneGroup: a trainable parameter is in no group, or in two.
	ErrNotInOneGroup = errors.New("want every trainable parameter in exactly one group")
	// ErrUnusedOverride: an override matches no parameter.
	ErrUnusedOverride = errors.New("the override matches no parameter")
)
