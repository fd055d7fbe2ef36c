// Package hf reads and writes model folders of Hugging Face's transformers:
// config.json with model.safetensors, or with shards and
// model.safetensors.index.json.
//
// [New] makes a gptblock.Model of such a folder; [Save] writes one.
// gptblock's parameters have transformers' names and storage, so every tensor
// maps to one parameter: GPT-2's weights are (In,Out) as its Conv1D keeps them,
// the others' (Out,In); rows of the query and key projections are in the order
// in which RoPE rotates halves of a head. [LoadMeta] reads the files of Meta and
// Mistral, whose rows are in another order.
//
// # Which models
//
// model_type gpt2, llama (LLaMA 1 and 2), mistral and mixtral are those of
// transformers, which loads what Save writes and computes the same logits. A
// model that transformers does not have is saved in the same way under a
// model_type of its own, with parameter names by the same conventions:
//
//	gpt3    GPT-2's names
//	palm    LLaMA's names; input_layernorm is the one norm of a block
//	grok-1  LLaMA's and Mixtral's names; the norms of a block are pre_attn_norm,
//	        post_attn_norm, pre_moe_norm and post_moe_norm
//	gorget  any other gptblock.Config, in the names of its Layout
//
// In every config.json the key "gorget" holds the whole gptblock.Config, since
// transformers has no keys for some of it; transformers passes over the key. If
// the two parts disagree, somebody edited one of them, and reading fails.
//
// # To see it with transformers
//
// A folder that Save wrote, from Python:
//
//	from transformers import AutoModelForCausalLM
//	model = AutoModelForCausalLM.from_pretrained("FOLDER")
//
// Both directions are tested: the folders in internal/golden/testdata were
// written by transformers, and
//
//	GORGET_HF_OUT=/tmp/hf go test ./checkpoint/hf -run TestFoldersOfTransformers
//	for m in hf-gpt2 hf-gpt2-hub hf-llama hf-mistral hf-mixtral; do
//	  python internal/golden/scripts/reload.py /tmp/hf/$m $m
//	done
//
// has transformers load what Save made of them and compare the logits
// (internal/golden/README.md says how to install it).
package hf
