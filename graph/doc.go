// Package graph holds the parameters of a Gorgonia graph and runs the graph.
//
// A parameter is created with [Params.New], or adopted with [Params.Adopt],
// and says there what it is: its [Role]. Nothing is guessed later from names
// or shapes. [Audit] walks the graph from the cost and reports every parameter
// that would be trained wrongly or not at all. [Compile] turns a cost into a
// [Program]: gradients, a virtual machine that is built once, and a Step that
// feeds a batch, runs the graph and hands the gradients to a solver.
//
// Letters used for shapes in the whole library: B batch, T time (context),
// C channels, H heads, K key/value heads, D head size, F hidden width of the
// MLP, V vocabulary, L layers, E experts.
package graph
