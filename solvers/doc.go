// Package solvers has the optimizers: [AdamW] and [Adafactor] over parameter
// groups, and [Grouped], which gives groups to any other gorgonia.Solver. Each
// is a gorgonia.Solver itself: it works in a plain Gorgonia program as well as
// under graph.Program.
//
// What all of them hold to:
//
//   - A step moves all parameters or none. A gradient, weight or state that is
//     not finite is an error that names the parameter.
//   - Every parameter of the groups is handed to each Step exactly once; order
//     does not matter, and state is kept by parameter.
//   - Gradients are clipped by their global norm over all groups, before
//     anything moves.
//   - The hyperparameters of a step are a pure function of the options and the
//     step number. [Curve] has the usual schedules as data.
//   - Report and Plan print the very numbers that the update loop uses.
package solvers
