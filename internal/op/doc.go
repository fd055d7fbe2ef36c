// Package op holds the Gorgonia ops of GPT models, one file an op, with the
// forward and the backward pass side by side. An op is a function over slices
// (its formula and the formulas of its gradients, by package kernel) and a
// [spec] (its inputs, the shape of its result, what the backward pass reads).
// The rest, being an op on Gorgonia's two machines, is in op.go and is the
// same for all:
//
//   - TapeMachine: SymDiff adds one backward node, which computes the
//     gradients of all inputs in one go, and a getter node for each gradient
//     but the first. Where a node is used twice, join.go spares Gorgonia's own
//     additions, and plan.go lets results share memory.
//   - LispMachine: DoDiff computes the same gradients and adds them to those
//     of the inputs.
//
// Every op owns the buffers of its results: after the first run nothing
// tensor-sized is allocated. A result is valid until the next run; read it
// with gorgonia.Read or copy it. An op returns an error where it would panic,
// since a panic in an op kills the process: Gorgonia runs ops in a goroutine
// of its own.
//
// Three things of Gorgonia do not go with such ops: ExprGraph.Clone (the ops
// would be shared by two graphs), UnbindAll and its relatives (they hand the
// ops' buffers to a pool), and two machines that run one graph at a time.
package op
