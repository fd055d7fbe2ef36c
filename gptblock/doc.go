// Package gptblock builds GPT models on a Gorgonia graph: layers that can be
// used alone, the [Block], and a [Model] from a [Config] that is general enough
// for GPT-2 and GPT-3, LLaMA 1 and 2, PaLM, Grok-1, Mistral and Mixtral.
//
// Each layer creates its parameters through *graph.Params and says there what
// they are (graph.Role), under the names that Hugging Face uses. A layer's
// Forward adds nodes to the graph and returns the last one; it may be called
// for several inputs. The nodes are fused ops that run on Gorgonia's
// TapeMachine and LispMachine, in float32 or float64 as the Params say.
//
// Nothing switches between training and evaluation: a model has the dropout of
// its Config, and [Config.Eval] is the same config without.
package gptblock
