"""GPT-2 in its forms (tanh or erf GELU, with and without biases, tied or untied head), and GPT-3.

Run:   python internal/golden/scripts/gpt2.py
Makes: testdata/gpt2-*.safetensors, testdata/gpt3.safetensors; tensors and header as in training.py

Names and layouts are Hugging Face's: linear weights are Conv1D's (in,out), c_attn packs q,k,v along
its columns. Without biases (nanoGPT's option) the bias tensors of linears and norms are absent. GPT-3
uses the same names. Every GPT-2 form is checked against transformers' GPT2LMHeadModel in float64;
a form without biases is checked with biases of zero.

config: B, T, C, H, L, V, gelu ("tanh" or "erf"), bias, tied, eps, windows (keys that a query of
each layer sees, itself included; 0 is all before it).
GPT-3's dense and banded layers alternate; width, order and which comes first are unpublished. Here
the first layer is dense.
"""

import math

import torch

import huggingface
from common import Source
from reference import attention, causal, cross_entropy, gelu_erf, gelu_tanh, layer_norm, merge_heads, split_heads
from training import batches, first_step, golden

EPS = 1e-5


def model_of(c):
    gelu = {"tanh": gelu_tanh, "erf": gelu_erf}[c["gelu"]]

    def norm(p, name, x):
        return layer_norm(x, p[name + ".weight"], p.get(name + ".bias"), EPS)

    def linear(p, name, x):
        y = x @ p[name + ".weight"]
        return y + p[name + ".bias"] if name + ".bias" in p else y

    def model(p, ids):
        T = ids.shape[1]
        x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][:T]  # (B,T,C)
        for layer in range(c["L"]):
            h = f"transformer.h.{layer}."
            qkv = linear(p, h + "attn.c_attn", norm(p, h + "ln_1", x))  # (B,T,3C)
            q, k, v = (split_heads(part, c["H"]) for part in qkv.chunk(3, -1))  # (B,H,T,D)
            seen = causal(T, c["windows"][layer])
            a = attention(q, k, v, seen, 1 / math.sqrt(q.shape[-1]))
            x = x + linear(p, h + "attn.c_proj", merge_heads(a))
            m = gelu(linear(p, h + "mlp.c_fc", norm(p, h + "ln_2", x)))  # (B,T,4C)
            x = x + linear(p, h + "mlp.c_proj", m)
        x = norm(p, "transformer.ln_f", x)
        head = p["transformer.wte.weight"] if c["tied"] else p["lm_head.weight"]
        return x @ head.T, {}

    return model


def init_of(c, src):
    C, std = c["C"], 1 / math.sqrt(c["C"])
    p = {
        "transformer.wte.weight": src.normal((c["V"], C), 0.5),
        "transformer.wpe.weight": src.normal((c["T"], C), 0.3),
    }

    def norm(name):
        p[name + ".weight"] = src.normal(C, 0.1, 1.0)
        if c["bias"]:
            p[name + ".bias"] = src.normal(C, 0.1)

    def linear(name, n_in, n_out, std):
        p[name + ".weight"] = src.normal((n_in, n_out), std)
        if c["bias"]:
            p[name + ".bias"] = src.normal(n_out, 0.1)

    for layer in range(c["L"]):
        h = f"transformer.h.{layer}."
        norm(h + "ln_1")
        linear(h + "attn.c_attn", C, 3 * C, 1.5 * std)
        linear(h + "attn.c_proj", C, C, std)
        norm(h + "ln_2")
        linear(h + "mlp.c_fc", C, 4 * C, std)
        linear(h + "mlp.c_proj", 4 * C, C, 0.5 * std)
    norm("transformer.ln_f")
    if not c["tied"]:
        p["lm_head.weight"] = src.normal((c["V"], C), std)
    return p


def without_key_bias(name, x):
    """The key part of c_attn's bias has a true gradient of zero; Adam blows its rounding noise up."""
    if not name.endswith("attn.c_attn.bias"):
        return x
    C = x.shape[0] // 3
    return torch.cat([x[:C], x[2 * C :]])


def check(c, init, model, ids, targets):
    """Against GPT2LMHeadModel."""
    loss, logits, _, grads = first_step(model, init, ids, targets)
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c["V"],
        "n_positions": c["T"], "n_embd": c["C"], "n_layer": c["L"], "n_head": c["H"],
        "activation_function": {"tanh": "gelu_new", "erf": "gelu"}[c["gelu"]],
        "layer_norm_epsilon": EPS, "tie_word_embeddings": c["tied"],
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": 0, "eos_token_id": 0,
    }
    full = dict(init)
    for n, x in init.items():
        if not c["bias"] and n.endswith(".weight") and (".h." in n or "ln_f" in n):
            full[n.removesuffix("weight") + "bias"] = torch.zeros(x.shape[-1], dtype=torch.float64)
    huggingface.check(
        full, config, ids[0], logits, grads, lambda out: cross_entropy(out.logits, targets[0]),
        renamed=lambda g: {n: x for n, x in g.items() if n in init},
    )


GPT2 = {
    "gpt2-tanh": dict(),
    "gpt2-erf-nobias": dict(gelu="erf", bias=False),
    "gpt2-untied": dict(gelu="erf", tied=False, B=1, T=9, C=10, H=1, L=1),
    "gpt2-ignore": dict(L=1, B=4),
    "gpt2-wide": dict(B=2, T=19, C=32, H=2, L=1, V=29),
}


def main():
    for seed, (name, options) in enumerate(GPT2.items()):
        c = dict(B=3, T=7, C=12, H=3, L=2, V=11, gelu="tanh", bias=True, tied=True, eps=EPS) | options
        c["windows"] = [0] * c["L"]
        src = Source(100 + seed)
        init = init_of(c, src)
        ids, targets = batches(src, c["B"], c["T"], c["V"])
        if name == "gpt2-ignore":
            targets[:, 0, :4] = -100    # a row in part, as after a prompt
            targets[:, 2, :] = -100     # a row in whole
            targets[::2, 3, -2:] = -100  # a number that changes from step to step
        model = model_of(c)
        check(c, init, model, ids, targets)
        golden(name, "gpt2", c, model, init, ids, targets, leave_out=without_key_bias,
               note="float32: leave the key part of attn.c_attn.bias out (its true gradient is zero)"
               if c["bias"] else None)

    c = dict(B=2, T=11, C=12, H=3, L=3, V=13, gelu="tanh", bias=True, tied=True, eps=EPS, windows=[0, 3, 0])
    src = Source(150)
    init = init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"])
    golden("gpt3", "gpt3", c, model_of(c), init, ids, targets, leave_out=without_key_bias,
           note="float32: leave the key part of attn.c_attn.bias out (its true gradient is zero)")


if __name__ == "__main__":
    main()
