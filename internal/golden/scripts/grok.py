"""Grok-1: four norms, softmax-then-top-2 experts that are not renormalised, GeGLU, capped attention logits.

Run:   python internal/golden/scripts/grok.py
Makes: testdata/grok-1.safetensors       no padding: token 0 does not occur
       testdata/grok-1-pad.safetensors   token 0 is padding: no query sees it as a key; its own targets are -100
Tensors and header as in training.py, and aux/router_logits (L,B*T,E), aux/counts (L,E).

The names follow LLaMA's and Mixtral's conventions:
  model.embed_tokens.weight (V,C)                         input embedding and head
  model.layers.N.{pre_attn,post_attn,pre_moe,post_moe}_norm.weight (C)
  model.layers.N.self_attn.{q,k,v,o}_proj.weight          (H*D,C), (K*D,C), (K*D,C), (C,H*D)
  model.layers.N.block_sparse_moe.gate.weight (E,C)
  model.layers.N.block_sparse_moe.experts.E.{w1,w3,w2}.weight   the source's linear, linear_v, linear_1
  model.norm.weight (C)

The source hides what a query may not see by -1e30; the first token is never padding here, so that
every query sees some key and the value does not matter.

config: B, T, C, H, K, D, F, L, V, E, top_k, eps, theta, attention_scale (1/sqrt(D)), soft_cap,
embedding_scale (sqrt(C)), logit_scale (1/sqrt(3)), tied, pad_token (null in grok-1).
"""

import math

import torch

from common import Source
from reference import attention, causal, chosen, experts, gelu_tanh, merge_heads, rms_norm, rope, split_heads
from training import batches, first_step, golden


def mixture(p, m, x, k):
    """Softmax over all experts, then the k largest as they are. Returns the output and the logits (N,E)."""
    flat = x.flatten(0, 1)  # (N,C)
    logits = flat @ p[m + "gate.weight"].T  # (N,E)
    probs = torch.softmax(logits, -1)
    top = chosen(probs, k)
    weights = torch.zeros_like(probs).scatter(1, top, probs.gather(1, top))

    def expert(e, x):
        w1, w2, w3 = (p[f"{m}experts.{e}.w{i}.weight"] for i in (1, 2, 3))
        return (gelu_tanh(x @ w1.T) * (x @ w3.T)) @ w2.T

    return experts(flat, weights, expert).view_as(x), logits


def model_of(c):
    def model(p, ids):
        T = ids.shape[1]
        seen = causal(T).expand(len(ids), 1, T, T)
        if c["pad_token"] is not None:
            seen = seen & (ids > c["pad_token"])[:, None, None, :]  # (B,1,T,T)
        x = p["model.embed_tokens.weight"][ids] * c["embedding_scale"]  # (B,T,C)
        routed = []
        for layer in range(c["L"]):
            h = f"model.layers.{layer}."

            def norm(which, x):
                return rms_norm(x, p[f"{h}{which}_norm.weight"], c["eps"])

            a = norm("pre_attn", x)
            q = split_heads(a @ p[h + "self_attn.q_proj.weight"].T, c["H"])  # (B,H,T,D)
            k = split_heads(a @ p[h + "self_attn.k_proj.weight"].T, c["K"])  # (B,K,T,D)
            v = split_heads(a @ p[h + "self_attn.v_proj.weight"].T, c["K"])
            q, k = rope(q, c["theta"]), rope(k, c["theta"])
            a = merge_heads(attention(q, k, v, seen, c["attention_scale"], c["soft_cap"]))
            x = x + norm("post_attn", a @ p[h + "self_attn.o_proj.weight"].T)
            m, logits = mixture(p, h + "block_sparse_moe.", norm("pre_moe", x), c["top_k"])
            routed.append(logits)
            x = x + norm("post_moe", m)
        x = rms_norm(x, p["model.norm.weight"], c["eps"])
        logits = torch.stack(routed)
        counts = torch.nn.functional.one_hot(chosen(logits, c["top_k"]), c["E"]).sum((1, 2))
        return x @ p["model.embed_tokens.weight"].T * c["logit_scale"], {"router_logits": logits, "counts": counts}

    return model


def init_of(c, src):
    C, D, F, std = c["C"], c["D"], c["F"], 1 / math.sqrt(c["C"])
    p = {"model.embed_tokens.weight": src.normal((c["V"], C), 0.5)}
    for layer in range(c["L"]):
        h = f"model.layers.{layer}."
        for which in "pre_attn", "post_attn", "pre_moe", "post_moe":
            p[f"{h}{which}_norm.weight"] = src.normal(C, 0.1, 1.0)
        # Large, so that attention logits reach where the cap bends them.
        p[h + "self_attn.q_proj.weight"] = src.normal((c["H"] * D, C), 2.5 * std)
        p[h + "self_attn.k_proj.weight"] = src.normal((c["K"] * D, C), 2.5 * std)
        p[h + "self_attn.v_proj.weight"] = src.normal((c["K"] * D, C), std)
        p[h + "self_attn.o_proj.weight"] = src.normal((C, c["H"] * D), std)
        p[h + "block_sparse_moe.gate.weight"] = src.normal((c["E"], C), 2 * std)
        for e in range(c["E"]):
            w = f"{h}block_sparse_moe.experts.{e}."
            p[w + "w1.weight"] = src.normal((F, C), 1.5 * std)
            p[w + "w3.weight"] = src.normal((F, C), 1.5 * std)
            p[w + "w2.weight"] = src.normal((C, F), std)
    p["model.norm.weight"] = src.normal(C, 0.1, 1.0)
    return p


def setup(name, seed):
    c = dict(B=2, T=7, C=12, H=4, K=2, D=6, F=7, L=2, V=13, E=6, top_k=2, eps=1e-5, theta=1e4,
             soft_cap=30.0, logit_scale=1 / math.sqrt(3), tied=True, pad_token=None)
    c |= {"attention_scale": 1 / math.sqrt(c["D"]), "embedding_scale": math.sqrt(c["C"])}
    src = Source(seed)
    init = init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"], low=1)
    if name == "grok-1-pad":
        c["pad_token"] = 0
        ids[:, 0, 5:] = 0    # at the end of a row
        ids[::3, 1, 2:4] = 0  # and inside
        targets[ids == 0] = -100
    return c, init, ids, targets


# At these seeds some expert gets no token in the first step.
FORMS = {"grok-1": 400, "grok-1-pad": 403}


def main():
    for name, seed in FORMS.items():
        c, init, ids, targets = setup(name, seed)
        model = model_of(c)
        _, _, aux, grads = first_step(model, init, ids, targets)
        layer, e = (aux["counts"] == 0).nonzero()[0].tolist()
        assert grads[f"model.layers.{layer}.block_sparse_moe.experts.{e}.w2.weight"].abs().max() == 0
        golden(name, "grok-1", c, model, init, ids, targets)


if __name__ == "__main__":
    main()
