// Package presets has the named systems: GPT-2, GPT-3, LLaMA 1 and 2, PaLM,
// Grok-1, Mistral 7B and Mixtral, each with every published size, a tiny
// variant of the same structure, a recipe, and the provenance of every number.
//
// What is commonly said about how these models were trained is often not what
// was published: a weight decay of 0.1 is said of all but GPT-2, and only those
// of GPT-3 and the two LLaMAs are in a paper. So each [System] offers two recipes:
// [AsPublished], in which what nobody published is our own default and marked
// as such, and [AsClaimed], AdamW with the weight decay that circulates.
// [System.Facts] tells for every field of the model and of the recipe whether
// it is [Published], [Derived], our own [Default] or [Claimed], and the source.
//
// Everything is plain data. [System.Report] describes the groups of parameters
// of any size without memory for its weights.
package presets
