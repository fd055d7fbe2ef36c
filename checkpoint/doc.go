// Package checkpoint keeps weights and training runs on disk.
//
// [Save] and [Load] move the parameters of a graph to and from safetensors
// files, by name, in one file or in shards with an index, as Hugging Face lays
// them out. Loading looks at every header first and compares it with the model:
// a file that does not fit is refused with the names of all tensors that are
// missing, extra or of another shape, before the first weight changes. Numbers
// go straight into the parameters' tensors, so loading takes little more memory
// than the weights. Tied parameters are stored once, under their own name.
//
// A [Store] is a folder of training checkpoints: weights, solver state by name,
// and what else a run needs to go on with the same bits. Each is written beside
// the others and renamed into place when all of it is on the disk, with a
// checksum for every file, so a process that is killed at any moment leaves a
// run that can go on from its last good checkpoint.
//
// # The folder of a run
//
//	latest                       the name of the newest checkpoint
//	best                         that of the best, if one was marked as such
//	step-00000100/
//	    model.safetensors        weights, by parameter name
//	    solver.safetensors       NAME/exp_avg, NAME/exp_avg_sq and so on
//	    ema.safetensors          further sets, if the run has them
//	    state.json               step, configuration, fingerprint of the corpus,
//	                             steps of the solver, the loop's own state
//	    SHA256SUMS               of all of these; sha256sum -c reads it
//
// Weights and states are in the type in which they were, so nothing is lost.
//
// The sub-package hf reads and writes whole model folders of Hugging Face's
// transformers, config.json included; safetensors is the file format alone.
package checkpoint
