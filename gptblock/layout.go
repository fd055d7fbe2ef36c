package gptblock

import "fmt"

// Layout says how parameters are named and stored.
type Layout string

// The layouts, both Hugging Face's.
const (
	// LayoutGPT2: transformer.h.0.attn.c_attn.weight and so on; weights are
	// (In,Out), query, key and value are one packed projection.
	LayoutGPT2 Layout = "gpt2"
	// LayoutLlama: model.layers.0.self_attn.q_proj.weight and so on; weights
	// are (Out,In), query, key and value are three projections. Mistral's and
	// Mixtral's checkpoints have it; PaLM and Grok-1, whose own have no such
	// names, are stored under the nearest ones.
	LayoutLlama Layout = "llama"
)

func (l Layout) valid() bool { return l == LayoutGPT2 || l == LayoutLlama }

// outIn reports whether linear weights are stored (Out,In).
func (l Layout) outIn() bool { return l == LayoutLlama }

// modelNames are the names of a model's layers outside of the blocks, without
// ".weight".
type modelNames struct{ tokens, positions, norm, head, dropout string }

func (l Layout) model() modelNames {
	if l == LayoutLlama {
		return modelNames{"model.embed_tokens", "model.embed_positions", "model.norm", "lm_head", "model.drop"}
	}
	return modelNames{"transformer.wte", "transformer.wpe", "transformer.ln_f", "lm_head", "transformer.drop"}
}

// blockNames are the names of a block's layers.
type blockNames struct {
	prefix             string
	attnNorm, mlpNorm  string
	attnPost, mlpPost  string // the norms after a sandwich block's branches
	attn, mlp, mixture string
}

func (l Layout) block(i int, kind BlockKind) blockNames {
	if l == LayoutGPT2 {
		p := fmt.Sprintf("transformer.h.%d.", i)
		return blockNames{p, p + "ln_1", p + "ln_2", p + "ln_1_post", p + "ln_2_post", p + "attn", p + "mlp", p + "moe"}
	}
	p := fmt.Sprintf("model.layers.%d.", i)
	n := blockNames{
		prefix: p, attnNorm: p + "input_layernorm", mlpNorm: p + "post_attention_layernorm",
		attn: p + "self_attn", mlp: p + "mlp", mixture: p + "block_sparse_moe",
	}
	if kind == BlockSandwich {
		n.attnNorm, n.attnPost = p+"pre_attn_norm", p+"post_attn_norm"
		n.mlpNorm, n.mlpPost = p+"pre_moe_norm", p+"post_moe_norm"
	}
	return n
}

// attnNames are the names of the projections of attention.
type attnNames struct{ qkv, q, k, v, out string }

func (l Layout) attention(prefix string) attnNames {
	if l == LayoutLlama {
		return attnNames{q: prefix + "q_proj", k: prefix + "k_proj", v: prefix + "v_proj", out: prefix + "o_proj"}
	}
	return attnNames{qkv: prefix + "c_attn", out: prefix + "c_proj"}
}

// mlpNames are the names of the matrices of an MLP.
type mlpNames struct{ gate, up, down string }

func (l Layout) mlp(prefix string) mlpNames {
	if l == LayoutLlama {
		return mlpNames{prefix + "gate_proj", prefix + "up_proj", prefix + "down_proj"}
	}
	return mlpNames{prefix + "c_gate", prefix + "c_fc", prefix + "c_proj"}
}
