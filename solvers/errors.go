package solvers

import (
	"fmt"

	"github.com/pkg/errors"
)

// Errors of a Step that callers test for with errors.Is. They come inside a
// [ParamError], which names the parameter. After any of them no weight, no
// state and no step count has changed, and the gradients are as they were.
var (
	// ErrUnknownParam: a parameter was handed over that is in no group.
	ErrUnknownParam = errors.New("is in no group of this solver")
	// ErrDuplicateParam: a parameter was handed over twice.
	ErrDuplicateParam = errors.New("was handed over twice")
	// ErrMissingParam: a parameter of a group was not handed over.
	ErrMissingParam = errors.New("is in a group but was not handed over")
	// ErrNilGrad: a gradient is nil, and nil gradients are refused.
	ErrNilGrad = errors.New("has no gradient")
	// ErrMismatch: a gradient has another shape or dtype than its parameter.
	ErrMismatch = errors.New("does not fit its parameter")
	// ErrSharedGrad: Grouped was handed two parameters with one gradient.
	ErrSharedGrad = errors.New("shares its gradient's memory")
	// ErrNonFinite: the gradient holds NaN or Inf, or the step would have put
	// one into a weight or into the state.
	ErrNonFinite = errors.New("is not finite")
)

// ParamError is an error about one parameter, or about several whose names are
// separated by commas.
type ParamError struct {
	Param string
	Err   error
}

// Error names the parameter.
func (e *ParamError) Error() string { return fmt.Sprintf("solvers: parameter %s: %v", e.Param, e.Err) }

// Unwrap gives the cause.
func (e *ParamError) Unwrap() error { return e.Err }

func paramErr(name string, cause error, format string, args ...any) error {
	return &ParamError{Param: name, Err: errors.WithMessagef(cause, format, args...)}
}
