"""PaLM: parallel block, one gain-only LayerNorm, multi-query attention, SwiGLU, RoPE, scaled tied head.

Run:   python internal/golden/scripts/palm.py
Makes: testdata/palm.safetensors           tensors and header as in training.py
       testdata/palm-adafactor.safetensors the same start and batches, 20 steps of PaLM's own optimizer
           (adafactor.py, over all parameters alike, clip_formula as in training.py): init/, ids,
           targets, lr, DTYPE/{loss,norm,final/}

There is no public PaLM checkpoint; the names are LLaMA's where there is such a part:
  model.embed_tokens.weight (V,C)              input embedding and head
  model.layers.N.input_layernorm.weight (C)    the one norm of the block
  model.layers.N.self_attn.{q,k,v,o}_proj.weight   (H*D,C), (D,C), (D,C), (C,H*D)
  model.layers.N.mlp.{gate,up,down}_proj.weight    (F,C), (F,C), (C,F)
  model.norm.weight (C)
RoPE pairs halves, theta 1e4 (both unpublished). The loss has z_loss 1e-4.

config: B, T, C, H, K (1), D, F, L, V, eps, theta, logit_scale (1/sqrt(C)), tied.
"""

import math

import adafactor
from common import Source, save
from llama import swiglu
from reference import attention, causal, layer_norm, merge_heads, rope, split_heads
from training import RECIPE, STEPS, batches, golden, runs

import torch

Z_LOSS = 1e-4


def model_of(c):
    def model(p, ids):
        T = ids.shape[1]
        x = p["model.embed_tokens.weight"][ids]  # (B,T,C), not scaled
        for layer in range(c["L"]):
            h = f"model.layers.{layer}."
            y = layer_norm(x, p[h + "input_layernorm.weight"], None, c["eps"])
            q = split_heads(y @ p[h + "self_attn.q_proj.weight"].T, c["H"])  # (B,H,T,D)
            k = split_heads(y @ p[h + "self_attn.k_proj.weight"].T, 1)  # (B,1,T,D)
            v = split_heads(y @ p[h + "self_attn.v_proj.weight"].T, 1)
            a = attention(rope(q, c["theta"]), rope(k, c["theta"]), v, causal(T), 1 / math.sqrt(c["D"]))
            a = merge_heads(a) @ p[h + "self_attn.o_proj.weight"].T
            m = swiglu(y, *(p[f"{h}mlp.{w}_proj.weight"] for w in ("gate", "up", "down")))
            x = x + m + a
        x = layer_norm(x, p["model.norm.weight"], None, c["eps"])
        return x @ p["model.embed_tokens.weight"].T * c["logit_scale"], {}

    return model


def init_of(c, src):
    """Embedding N(0,1), kernels N(0, 1/n_in), as published."""
    C, HD, D, F = c["C"], c["H"] * c["D"], c["D"], c["F"]

    def kernel(n_out, n_in):
        return src.normal((n_out, n_in), 1 / math.sqrt(n_in))

    p = {"model.embed_tokens.weight": src.normal((c["V"], C))}
    for layer in range(c["L"]):
        h = f"model.layers.{layer}."
        p[h + "input_layernorm.weight"] = src.normal(C, 0.1, 1.0)
        p[h + "self_attn.q_proj.weight"] = kernel(HD, C)
        p[h + "self_attn.k_proj.weight"] = kernel(D, C)
        p[h + "self_attn.v_proj.weight"] = kernel(D, C)
        p[h + "self_attn.o_proj.weight"] = kernel(C, HD)
        p[h + "mlp.gate_proj.weight"] = kernel(F, C)
        p[h + "mlp.up_proj.weight"] = kernel(F, C)
        p[h + "mlp.down_proj.weight"] = kernel(C, F)
    p["model.norm.weight"] = src.normal(C, 0.1, 1.0)
    return p


def main():
    c = dict(B=2, T=9, C=10, H=3, K=1, D=6, F=40, L=2, V=13, eps=1e-5, theta=1e4, tied=True)
    c["logit_scale"] = 1 / math.sqrt(c["C"])
    src = Source(300)
    init = init_of(c, src)
    ids, targets = batches(src, c["B"], c["T"], c["V"])
    model = model_of(c)
    golden("palm", "palm", c, model, init, ids, targets, z_loss=Z_LOSS)

    trace, error = runs(model, init, ids, targets, Z_LOSS,
                        optimizer=adafactor.Adafactor, lr_of=adafactor.learning_rate)
    lr = torch.tensor([adafactor.learning_rate(t) for t in range(STEPS)], dtype=torch.float64)
    tensors = {f"init/{n}": x.float() for n, x in init.items()} | {"ids": ids, "targets": targets, "lr": lr} | trace
    recipe = adafactor.PALM | {
        "optimizer": "adafactor.py", "lr_formula": "lr*sqrt(warm/max(step, warm))", "z_loss": Z_LOSS,
        "decays": "every parameter", "clip": RECIPE["clip"], "clip_formula": RECIPE["clip_formula"],
    }
    save("palm-adafactor", tensors, {"system": "palm", "config": c, "recipe": recipe, "f32_error": error})


if __name__ == "__main__":
    main()
