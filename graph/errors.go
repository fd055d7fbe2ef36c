package graph

import "github.com/pkg/errors"

// Errors that callers test for with errors.Is. They come wrapped in a message
// that names the parameter.
var (
	// ErrRoleUnset: a parameter was created without saying what it is.
	ErrRoleUnset = errors.New("the role is unset, want one of the roles of package graph")
	// ErrDuplicate: a name or node was registered twice.
	ErrDuplicate = errors.New("the name is taken, want unique names")
)
