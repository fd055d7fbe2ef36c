"""GPT-3, PaLM and Grok-1 against their nearest relatives in transformers.

Run:   python internal/golden/scripts/relatives.py
Makes: nothing; it fails if logits or a gradient differ by 1e-12.

transformers has none of the three. But weights can be chosen for which each is a model that it has:
  GPT-3   is GPT-Neo, whose layers alternate between global and local attention, without q,k,v biases
          and with the attention scale moved into the query weights
  PaLM    is Cohere's Command R (parallel block, one gain-only norm, scaled tied head) with one kv head
          and the rows of q and k reordered for interleaved RoPE
  Grok-1  is Gemma 2 (four norms, capped attention logits, GeGLU, scaled tied embedding) with a single
          expert, no logit scale, and gains that count from zero
What this leaves to mixture() in grok.py alone is the choice of experts.
"""

import math

import gpt2
import grok
import huggingface
import palm
from common import Source
from llama import from_meta, to_meta
from reference import cross_entropy
from training import batches, first_step


def gpt3():
    c = dict(B=2, T=11, C=12, H=3, L=3, V=13, gelu="tanh", bias=True, tied=True, windows=[0, 3, 0])
    src = Source(600)
    init = gpt2.init_of(c, src)
    for layer in range(c["L"]):
        init[f"transformer.h.{layer}.attn.c_attn.bias"].zero_()
    ids, targets = batches(src, c["B"], c["T"], c["V"])
    _, logits, _, grads = first_step(gpt2.model_of(c), init, ids, targets)
    scale = 1 / math.sqrt(c["C"] // c["H"])

    theirs, expected = {}, {}
    for n, x in init.items():
        g = grads[n]
        if n.endswith("c_attn.weight"):
            stem = n.replace("c_attn.weight", "attention.")
            for i, w in enumerate("qkv"):
                s = scale if w == "q" else 1.0
                theirs[f"{stem}{w}_proj.weight"] = x.chunk(3, 1)[i].T * s
                expected[f"{stem}{w}_proj.weight"] = g.chunk(3, 1)[i].T / s
        elif not n.endswith("c_attn.bias"):
            n = n.replace("attn.c_proj", "attn.attention.out_proj")
            conv = n.endswith("c_fc.weight") or n.endswith("proj.weight")
            theirs[n] = x.T if conv else x
            expected[n] = g.T if conv else g
    config = {
        "model_type": "gpt_neo", "architectures": ["GPTNeoForCausalLM"], "vocab_size": c["V"],
        "hidden_size": c["C"], "intermediate_size": 4 * c["C"], "num_layers": c["L"], "num_heads": c["H"],
        "attention_types": [[["global", "local"], 1], [["global"], 1]], "window_size": c["windows"][1],
        "max_position_embeddings": c["T"], "activation_function": "gelu_new", "layer_norm_epsilon": gpt2.EPS,
        "embed_dropout": 0.0, "attention_dropout": 0.0, "resid_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 0,
    }
    huggingface.check(theirs, config, ids[0], logits, expected, lambda out: cross_entropy(out.logits, targets[0]))


def command_r():
    c = dict(B=2, T=9, C=10, H=3, K=1, D=6, F=40, L=2, V=13, eps=1e-5, theta=1e4, logit_scale=1 / math.sqrt(10))
    src = Source(601)
    init = palm.init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"])
    _, logits, _, grads = first_step(palm.model_of(c), init, ids, targets, palm.Z_LOSS)

    def reordered(tensors, order):
        heads = {"q_proj.weight": c["H"], "k_proj.weight": 1}
        return {n: order(x, heads[n[-13:]]) if n[-13:] in heads else x for n, x in tensors.items()}

    config = {
        "model_type": "cohere", "architectures": ["CohereForCausalLM"], "vocab_size": c["V"],
        "hidden_size": c["C"], "intermediate_size": c["F"], "num_hidden_layers": c["L"],
        "num_attention_heads": c["H"], "num_key_value_heads": 1, "head_dim": c["D"], "hidden_act": "silu",
        "max_position_embeddings": c["T"], "layer_norm_eps": c["eps"], "rope_theta": c["theta"],
        "logit_scale": c["logit_scale"], "tie_word_embeddings": True, "use_qk_norm": False,
        "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }
    huggingface.check(
        reordered(init, to_meta), config, ids[0], logits, grads,
        lambda out: cross_entropy(out.logits, targets[0], z_loss=palm.Z_LOSS),
        renamed=lambda theirs: reordered(theirs, from_meta),
    )


def gemma2():
    # C is a square: transformers keeps its embedding scale sqrt(C) in float32.
    c = dict(B=2, T=7, C=16, H=4, K=2, D=6, F=10, L=2, V=13, E=1, top_k=1, eps=1e-5, theta=1e4, soft_cap=30.0,
             logit_scale=1.0, pad_token=None, attention_scale=1 / math.sqrt(6), embedding_scale=4.0)
    src = Source(602)
    init = grok.init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"], low=1)
    _, logits, _, grads = first_step(grok.model_of(c), init, ids, targets)

    def name(n):
        for ours, theirs in {
            "pre_attn_norm": "input_layernorm", "post_attn_norm": "post_attention_layernorm",
            "pre_moe_norm": "pre_feedforward_layernorm", "post_moe_norm": "post_feedforward_layernorm",
            "block_sparse_moe.experts.0.w1": "mlp.gate_proj", "block_sparse_moe.experts.0.w3": "mlp.up_proj",
            "block_sparse_moe.experts.0.w2": "mlp.down_proj",
        }.items():
            n = n.replace(ours, theirs)
        return n

    params = {name(n): x - 1 if x.ndim == 1 else x for n, x in init.items() if "gate.weight" not in n}
    config = {
        "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "vocab_size": c["V"],
        "hidden_size": c["C"], "intermediate_size": c["F"], "num_hidden_layers": c["L"],
        "num_attention_heads": c["H"], "num_key_value_heads": c["K"], "head_dim": c["D"],
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": c["T"], "rms_norm_eps": c["eps"],
        "rope_theta": c["theta"], "query_pre_attn_scalar": c["D"], "sliding_window": c["T"],
        "attn_logit_softcapping": c["soft_cap"], "final_logit_softcapping": None, "tie_word_embeddings": True,
        "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }
    expected = {name(n): g for n, g in grads.items() if "gate.weight" not in n}
    huggingface.check(params, config, ids[0], logits, expected, lambda out: cross_entropy(out.logits, targets[0]))


if __name__ == "__main__":
    for relative in gpt3, command_r, gemma2:
        print(relative.__name__)
        relative()
