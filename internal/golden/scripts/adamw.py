"""AdamW as PyTorch computes it: 100 steps of torch.optim.AdamW over its options.

Run:   python internal/golden/scripts/adamw.py
Makes: testdata/adamw.safetensors

Tensors
  init/PARAM                the parameters at the start, F32
  grad/PARAM                (100, shape of PARAM): the gradient of each step, F32, the same for every case
  CASE/DTYPE/param/PARAM    (4, shape): the parameter after the steps in header.snapshots
  CASE/DTYPE/exp_avg/PARAM, exp_avg_sq/PARAM, max_exp_avg_sq/PARAM (amsgrad only): the state there
  CASE/DTYPE/step/PARAM     (4): how often PARAM was stepped by then
  CASE/lr                   (100): the learning rate of each step, before a group's own
  CASE/DTYPE/norm           (100): the global norm before clipping (cases with clip only)
DTYPE is f64 or f32; step counts are I32, lr and norm F64.

Header: params, steps, snapshots, and cases: name -> {lr, betas, eps, weight_decay, amsgrad,
maximize, clip (max norm or null), schedule (formula or null), groups: [{params, lr,
weight_decay}], missing: {PARAM: [1-based steps at which its gradient is None]}}.

Two things to know of torch. A parameter whose gradient is None is skipped: no decay, no update,
and its own step count (so its bias correction) stands still. clip_grad_norm_ scales by
min(1, max_norm / (norm + 1e-6)).
"""

import math

import numpy as np
import torch

from common import Source, save

STEPS = 100
SNAPSHOTS = [1, 2, 10, 100]
SHAPES = {"scalar": (), "bias": (5,), "matrix": (3, 4), "kernel": (2, 3, 2), "gain": (1,)}
DTYPES = {"f64": torch.float64, "f32": torch.float32}

DEFAULTS = dict(
    lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, maximize=False,
    clip=None, schedule=None, missing={}, groups=[{"params": list(SHAPES)}],
)
TWO_GROUPS = [
    {"params": ["matrix", "kernel"]},
    {"params": ["scalar", "bias", "gain"], "lr": 3e-4, "weight_decay": 0.0},
]
WARMUP_COSINE = (
    "t = step-1; m(t) = (t+1)/10 for t < 10, "
    "else 0.1 + 0.9*0.5*(1 + cos(pi*(t-10)/90)); lr = base*m(t)"
)
MISSING = {
    "matrix": [1, 2, 3, 50],               # its state begins at step 4
    "bias": list(range(2, 101, 2)),        # every second step
    "scalar": list(range(1, 101)),         # never: must not move
    "gain": [100],
}

CASES = {
    "plain": {},
    "no_decay": dict(weight_decay=0.0),
    "decay_0.1": dict(weight_decay=0.1),
    "betas_0.95": dict(betas=(0.9, 0.95)),
    "eps_1e-6": dict(eps=1e-6),
    "amsgrad": dict(amsgrad=True, betas=(0.9, 0.9)),  # a short memory, so that the maximum matters
    "maximize": dict(maximize=True),
    "two_groups": dict(lr=2e-3, weight_decay=0.1, groups=TWO_GROUPS),
    "missing": dict(weight_decay=0.1, missing=MISSING),
    "schedule": dict(lr=1e-2, weight_decay=0.1, schedule=WARMUP_COSINE),
    "clip": dict(clip=1.0),
    "all": dict(
        lr=6e-3, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1, amsgrad=True, maximize=True,
        clip=1.0, schedule=WARMUP_COSINE, groups=TWO_GROUPS,
        missing={"matrix": [1, 2, 3, 50], "gain": [100]},
    ),
}


def warmup_cosine(t):
    if t < 10:
        return (t + 1) / 10
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (t - 10) / 90))


def run(case, init, grads, dtype):
    params = {n: torch.nn.Parameter(x.to(dtype, copy=True)) for n, x in init.items()}
    groups = [dict(g, params=[params[n] for n in g["params"]]) for g in case["groups"]]
    opt = torch.optim.AdamW(
        groups, lr=case["lr"], betas=case["betas"], eps=case["eps"],
        weight_decay=case["weight_decay"], amsgrad=case["amsgrad"], maximize=case["maximize"],
        foreach=False,
    )
    sched = torch.optim.lr_scheduler.LambdaLR(opt, warmup_cosine if case["schedule"] else lambda t: 1.0)
    kinds = ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if case["amsgrad"] else [])
    snaps = {f"{k}/{n}": [] for n in params for k in ["param", "step"] + kinds}
    norms = []
    for step in range(1, STEPS + 1):
        for n, p in params.items():
            p.grad = None if step in case["missing"].get(n, []) else grads[n][step - 1].to(dtype).clone()
        if case["clip"]:
            norms.append(torch.nn.utils.clip_grad_norm_(params.values(), case["clip"]).double())
        opt.step()
        sched.step()
        if step in SNAPSHOTS:
            for n, p in params.items():
                state = opt.state.get(p, {})
                snaps[f"param/{n}"].append(p.detach().clone())
                snaps[f"step/{n}"].append(torch.tensor(int(state.get("step", 0)), dtype=torch.int32))
                for k in kinds:
                    snaps[f"{k}/{n}"].append(state[k].clone() if k in state else torch.zeros_like(p))
    out = {k: torch.stack(v) for k, v in snaps.items()}
    if norms:
        out["norm"] = torch.stack(norms)
    return out


def by_the_book(case, init, grads):
    """The float64 run again in plain numpy (Loshchilov and Hutter 2019, algorithm 2, in torch's convention)."""
    group_of = {n: g for g in case["groups"] for n in g["params"]}
    b1, b2 = case["betas"]
    w = {n: x.numpy().copy() for n, x in init.items()}
    m, v, vmax, k = ({n: 0.0 for n in w} for _ in range(4))
    for t in range(STEPS):
        g = {n: x[t].numpy() for n, x in grads.items() if t + 1 not in case["missing"].get(n, [])}
        scale = 1.0
        if case["clip"]:
            norm = math.sqrt(sum((x**2).sum() for x in g.values()))
            scale = min(1.0, case["clip"] / (norm + 1e-6))
        for n, x in g.items():
            x = -scale * x if case["maximize"] else scale * x
            lr = group_of[n]["lr"] * (warmup_cosine(t) if case["schedule"] else 1.0)
            k[n] += 1
            m[n] = b1 * m[n] + (1 - b1) * x
            v[n] = b2 * v[n] + (1 - b2) * x**2
            vmax[n] = np.maximum(vmax[n], v[n])
            second = vmax[n] if case["amsgrad"] else v[n]
            w[n] = w[n] * (1 - lr * group_of[n]["weight_decay"])
            w[n] = w[n] - lr * (m[n] / (1 - b1 ** k[n])) / (np.sqrt(second / (1 - b2 ** k[n])) + case["eps"])
    return w


def main():
    src = Source(1)
    init = {n: src.normal(s) for n, s in SHAPES.items()}
    # Gradients with a mean, a size that varies over the run, and exact zeros: norms from
    # below 1 to well above it, so that clipping acts on some steps and not on others.
    size = torch.tensor([0.02 + abs(math.sin(0.37 * t)) for t in range(STEPS)], dtype=torch.float64)
    grads = {}
    for n, s in SHAPES.items():
        g = src.normal((STEPS, *s), mean=0.1) * size.view(-1, *[1] * len(s))
        grads[n] = g.float().double()
    grads["kernel"][:, 0, 1, :] = 0.0

    tensors = {f"init/{n}": x.float() for n, x in init.items()}
    tensors |= {f"grad/{n}": g.float() for n, g in grads.items()}
    header = {"steps": STEPS, "snapshots": SNAPSHOTS, "params": {n: list(s) for n, s in SHAPES.items()}, "cases": {}}
    for name, options in CASES.items():
        case = DEFAULTS | options
        case["groups"] = [
            {"lr": case["lr"], "weight_decay": case["weight_decay"]} | g for g in case["groups"]
        ]
        header["cases"][name] = case
        m = warmup_cosine if case["schedule"] else lambda t: 1.0
        tensors[f"{name}/lr"] = torch.tensor([case["lr"] * m(t) for t in range(STEPS)], dtype=torch.float64)
        for label, dtype in DTYPES.items():
            for k, v in run(case, init, grads, dtype).items():
                tensors[f"{name}/{label}/{k}"] = v
        for n, w in by_the_book(case, init, grads).items():
            diff = np.abs(tensors[f"{name}/f64/param/{n}"][-1].numpy() - w).max()
            assert diff < 1e-13, f"{name}: {n} differs by {diff:.2e}"
    clipped = (tensors["clip/f64/norm"] > 1).sum().item()
    assert 10 < clipped < 90, clipped
    save("adamw", tensors, header)


if __name__ == "__main__":
    main()
