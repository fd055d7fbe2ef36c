// Package groups decides which parameters weight decay may touch.
//
// A [Policy] is data: rules over the roles and classes that parameters were
// given where they were made (package graph), each with a reason, and a
// citation for the whole. [Split] applies it and yields [Groups], a partition
// of the trainable parameters that the solvers of package solvers take.
// [Groups.Report] tells for each parameter in which group it is, what a step
// does to it, and why; [Diff] shows what changes between two policies.
//
// The policies of the package:
//
//	GPT2Policy       matrices and embeddings decay (nanoGPT)
//	MinGPTPolicy     matrices decay, embeddings do not (minGPT)
//	MegatronPolicy   all but biases and rank 1 (Megatron-LM)
//	GPT1Policy       all non bias or gain weights (GPT-1)
//	DecayAllPolicy   everything
//	DecayNonePolicy  nothing
//
// For a graph whose parameters have no roles there is [ByNameAndShape].
package groups
