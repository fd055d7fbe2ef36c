"""LLaMA 1 and 2, Mistral and Mixtral.

Run:   python internal/golden/scripts/llama.py
Makes: testdata/llama*.safetensors, mistral.safetensors, mixtral.safetensors; tensors and header as in
training.py, and
  meta/layers.N.attention.wq.weight, wk.weight   (llama files) the same projections as Meta stores
      them: rows of a head in the order of interleaved pairs (2i,2i+1), where Hugging Face has (i,i+D/2)
  aux/router_logits (L,B*T,E), aux/counts (L,E)  (mixtral) tokens that each expert got
  aux/balance, aux/loss                          (mixtral) the load-balancing loss, and times its coefficient

Names and layouts are Hugging Face's (mixtral: those of the published checkpoint), linear weights
(out,in). Every form is checked against transformers in float64.

config: B, T, C, H, K, D, F, L, V, eps, theta, window (keys that a query sees, itself included; 0 is
all before it), tied; mixtral: E, top_k, balance_coef.
"""

import math

import torch

import huggingface
from common import Source
from reference import attention, causal, chosen, cross_entropy, experts, merge_heads, rms_norm, rope, silu, split_heads
from training import batches, first_step, golden


def swiglu(x, gate, up, down):
    return (silu(x @ gate.T) * (x @ up.T)) @ down.T


def mixture(p, m, x, k):
    """Top-k of the router's logits, then softmax over those k. Returns the output and the logits (N,E)."""
    flat = x.flatten(0, 1)  # (N,C)
    logits = flat @ p[m + "gate.weight"].T  # (N,E)
    top = chosen(logits, k)
    weights = torch.zeros_like(logits).scatter(1, top, torch.softmax(logits.gather(1, top), -1))

    def expert(e, x):
        w1, w2, w3 = (p[f"{m}experts.{e}.w{i}.weight"] for i in (1, 2, 3))
        return swiglu(x, w1, w3, w2)

    return experts(flat, weights, expert).view_as(x), logits


def load_balancing(logits, k):
    """E * sum_e f_e P_e over the tokens of all layers; logits (L,N,E).

    f_e is how many of a token's k choices fall on e, in the mean (so the f_e sum to k), P_e the mean
    probability of e. Hugging Face's load_balancing_loss_func.
    """
    E = logits.shape[-1]
    probs = torch.softmax(logits, -1).flatten(0, 1)  # (L*N,E)
    f = torch.nn.functional.one_hot(chosen(probs, k), E).sum(1).to(probs.dtype).mean(0)
    return E * (f * probs.mean(0)).sum()


def model_of(c, interleaved=False):
    def model(p, ids):
        T = ids.shape[1]
        x = p["model.embed_tokens.weight"][ids]  # (B,T,C)
        routed = []
        for layer in range(c["L"]):
            h = f"model.layers.{layer}."
            a = rms_norm(x, p[h + "input_layernorm.weight"], c["eps"])
            q = split_heads(a @ p[h + "self_attn.q_proj.weight"].T, c["H"])  # (B,H,T,D)
            k = split_heads(a @ p[h + "self_attn.k_proj.weight"].T, c["K"])  # (B,K,T,D)
            v = split_heads(a @ p[h + "self_attn.v_proj.weight"].T, c["K"])
            q, k = rope(q, c["theta"], interleaved), rope(k, c["theta"], interleaved)
            a = attention(q, k, v, causal(T, c["window"]), 1 / math.sqrt(c["D"]))
            x = x + merge_heads(a) @ p[h + "self_attn.o_proj.weight"].T
            m = rms_norm(x, p[h + "post_attention_layernorm.weight"], c["eps"])
            if "E" in c:
                m, logits = mixture(p, h + "block_sparse_moe.", m, c["top_k"])
                routed.append(logits)
            else:
                m = swiglu(m, *(p[f"{h}mlp.{w}_proj.weight"] for w in ("gate", "up", "down")))
            x = x + m
        x = rms_norm(x, p["model.norm.weight"], c["eps"])
        head = p["model.embed_tokens.weight"] if c["tied"] else p["lm_head.weight"]
        aux = {}
        if routed:
            logits = torch.stack(routed)
            balance = load_balancing(logits, c["top_k"])
            counts = torch.nn.functional.one_hot(chosen(logits, c["top_k"]), c["E"]).sum((1, 2))
            aux = {"router_logits": logits, "counts": counts, "balance": balance,
                   "loss": c["balance_coef"] * balance}
        return x @ head.T, aux

    return model


def init_of(c, src):
    C, D, F, std = c["C"], c["D"], c["F"], 1 / math.sqrt(c["C"])
    p = {"model.embed_tokens.weight": src.normal((c["V"], C), 0.5)}
    for layer in range(c["L"]):
        h = f"model.layers.{layer}."
        p[h + "input_layernorm.weight"] = src.normal(C, 0.1, 1.0)
        p[h + "self_attn.q_proj.weight"] = src.normal((c["H"] * D, C), 1.5 * std)
        p[h + "self_attn.k_proj.weight"] = src.normal((c["K"] * D, C), 1.5 * std)
        p[h + "self_attn.v_proj.weight"] = src.normal((c["K"] * D, C), std)
        p[h + "self_attn.o_proj.weight"] = src.normal((C, c["H"] * D), std)
        p[h + "post_attention_layernorm.weight"] = src.normal(C, 0.1, 1.0)
        if "E" in c:
            p[h + "block_sparse_moe.gate.weight"] = src.normal((c["E"], C), 2 * std)
            mlps = [f"{h}block_sparse_moe.experts.{e}.w{{}}.weight" for e in range(c["E"])]
            names = 1, 3, 2
        else:
            mlps, names = [h + "mlp.{}_proj.weight"], ("gate", "up", "down")
        for mlp in mlps:
            gate, up, down = (mlp.format(n) for n in names)
            p[gate] = src.normal((F, C), 1.5 * std)
            p[up] = src.normal((F, C), 1.5 * std)
            p[down] = src.normal((C, F), std)
    p["model.norm.weight"] = src.normal(C, 0.1, 1.0)
    if not c["tied"]:
        p["lm_head.weight"] = src.normal((c["V"], C), std)
    return p


def to_meta(w, heads):
    """Rows of each head from halves (i, i+D/2) to interleaved pairs (2i, 2i+1)."""
    rows, C = w.shape
    return w.view(heads, 2, rows // heads // 2, C).transpose(1, 2).reshape(rows, C)


def from_meta(w, heads):
    """The inverse of to_meta."""
    rows, C = w.shape
    return w.view(heads, rows // heads // 2, 2, C).transpose(1, 2).reshape(rows, C)


def meta_weights(c, init, model, ids):
    """The q and k projections in Meta's layout, shown to give the same logits with interleaved RoPE."""
    meta, swapped = {}, dict(init)
    for layer in range(c["L"]):
        for w, heads in ("q", c["H"]), ("k", c["K"]):
            name = f"model.layers.{layer}.self_attn.{w}_proj.weight"
            swapped[name] = to_meta(init[name], heads)
            meta[f"meta/layers.{layer}.attention.w{w}.weight"] = swapped[name].float()
    diff = (model_of(c, interleaved=True)(swapped, ids)[0] - model(init, ids)[0]).abs().max().item()
    assert diff < 1e-13, diff
    return meta


def hf_config(system, c):
    """config.json of this configuration."""
    config = {
        "model_type": system, "architectures": [system.capitalize() + "ForCausalLM"],
        "vocab_size": c["V"], "hidden_size": c["C"], "intermediate_size": c["F"], "num_hidden_layers": c["L"],
        "num_attention_heads": c["H"], "num_key_value_heads": c["K"], "head_dim": c["D"],
        "hidden_act": "silu", "max_position_embeddings": c["T"], "rms_norm_eps": c["eps"],
        "rope_theta": c["theta"], "tie_word_embeddings": c["tied"], "attention_dropout": 0.0,
        "bos_token_id": 1, "eos_token_id": 2,
    }
    if system == "mistral":
        config["sliding_window"] = c["window"]
    if system == "mixtral":
        config |= {"num_local_experts": c["E"], "num_experts_per_tok": c["top_k"],
                   "router_aux_loss_coef": c["balance_coef"], "sliding_window": None}
    return config


def published_names(grads):
    """Mixtral's gradients from transformers' stacked experts to the checkpoint's names."""
    out = {}
    for n, g in grads.items():
        n = n.replace(".mlp.gate.", ".block_sparse_moe.gate.")
        if ".mlp.experts." not in n:
            out[n] = g
            continue
        stem = n[: n.index(".mlp.experts.")] + ".block_sparse_moe.experts."
        for e, one in enumerate(g):
            if n.endswith("gate_up_proj"):
                out[f"{stem}{e}.w1.weight"], out[f"{stem}{e}.w3.weight"] = one.chunk(2, 0)
            else:
                out[f"{stem}{e}.w2.weight"] = one
    return out


SMALL = dict(B=2, T=7, C=12, H=3, K=3, D=4, F=20, L=2, V=13, eps=1e-5, theta=1e4, window=0, tied=False)
FORMS = {
    "llama": ("llama", dict(eps=1e-6)),
    "llama-tied": ("llama", dict(tied=True, L=1, B=1, H=1, K=1, D=10, C=10, F=13)),
    "llama2-gqa": ("llama", dict(T=9, C=16, H=4, K=2, D=4, F=22, V=17)),
    "llama2-wide": ("llama", dict(T=19, C=32, H=4, K=2, D=8, F=40, L=1, V=33)),
    "mistral": ("mistral", dict(T=13, C=16, H=4, K=2, D=6, F=18, window=4)),  # H*D != C
    "mixtral": ("mixtral", dict(H=4, K=2, D=4, C=14, F=9, E=6, top_k=2, balance_coef=0.02, theta=1e6)),
}
SEEDS = {"mixtral": 256}  # at this one, two experts get no token in the first step


def setup(name):
    """(system, config, init, ids, targets) of a form."""
    system, options = FORMS[name]
    c = SMALL | options
    src = Source(SEEDS.get(name, 200 + list(FORMS).index(name)))
    init = init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"])
    return system, c, init, ids, targets


def main():
    for name in FORMS:
        system, c, init, ids, targets = setup(name)
        model = model_of(c)
        _, logits, aux, grads = first_step(model, init, ids, targets)
        if system == "mixtral":
            layer, e = (aux["counts"] == 0).nonzero()[0].tolist()
            assert grads[f"model.layers.{layer}.block_sparse_moe.experts.{e}.w1.weight"].abs().max() == 0

        def loss_of(out):
            loss = cross_entropy(out.logits, targets[0])
            if system == "mixtral":
                assert (out.aux_loss - aux["balance"]).abs() < 1e-13
                loss = loss + c["balance_coef"] * out.aux_loss
            return loss

        renamed = published_names if system == "mixtral" else lambda grads: grads
        huggingface.check(init, hf_config(system, c), ids[0], logits, grads, loss_of, renamed)
        meta = meta_weights(c, init, model, ids[0]) if system == "llama" else None
        golden(name, system, c, model, init, ids, targets, extra=meta)


if __name__ == "__main__":
    main()
