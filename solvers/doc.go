// Package solvers has the optimizers: [AdamW] and [Adafactor] over parameter
// groups, and [Grouped], which gives groups to any other gorgonia.Solver. Each
// is a gorgonia.Solver itself: it works in a plain Gorgonia program as well as
// under graph.Program.
//
// What all of them hold to:
//
//   - Every parameter of the groups is handed to each Step exactly once; the
//     order does not matter.
//   - A gradient that is not finite is an error that names the parameter;
//     nothing has moved then.
//   - Gradients are clipped by their global norm over all groups, before
//     anything moves.
//
// What AdamW and Adafactor hold to as well, and Grouped leaves to the solvers
// that it is given:
//
//   - A step moves all parameters or none. A step that would make a weight or
//     state infinite or NaN is an error that names the parameter. (A weight
//     that was NaN already is not searched for: that would cost a pass over
//     all weights.)
//   - State is kept by parameter.
//   - The hyperparameters of a step are a pure function of the options and the
//     step number. [Curve] has the usual schedules as data.
//   - Report and Plan print the very numbers that the update loop uses.
package solvers
