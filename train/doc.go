// Package train is the loop around a graph.Program: batches in, optimizer steps,
// validation, and a record of everything that happens, for observers to print,
// plot or keep.
//
// A run is a pure function of its configuration: the batch of a step, the
// learning rate of a step and what dropout draws in it depend on the step's
// number alone. What a run needs beyond that to go on where it stopped is in
// [State], beside the weights and the solver's state.
package train
