"""What every model script does with a reference model: the first step in full, then 20 steps.

model(params, ids) returns (logits, aux): aux is a dict of further tensors to keep, of which "loss"
(if there) is added to the cross-entropy.

Tensors of a model's golden file
  init/PARAM               the weights at the start, F32
  ids, targets             (20,B,T): the batch of each step, I32; target -100 counts for nothing
  logits                   (B,T,V) of the first batch at the start, F64
  grad/PARAM               gradient of the loss there, before clipping, F64
  aux/NAME                 what else the model computed there
  lr                       (20) the learning rate of each step, F64
  f64/loss, f64/norm       (20) the loss before each step, and the global gradient norm before clipping
  f64/final/PARAM          the weights after 20 steps, F64
  f32/loss, f32/norm, f32/final/PARAM   the same from a run in float32, from the same start

Header: system, config, recipe (formulas and values), decay and no_decay (names in each group),
f32_error (largest difference of the two runs' final weights, over header.f32_leave_out excepted).
"""

import math

import torch

from common import Source, save
from reference import cross_entropy

STEPS = 20
RECIPE = dict(
    optimizer="torch.optim.AdamW", lr=3e-3, min_lr=3e-4, betas=[0.9, 0.95], eps=1e-8,
    weight_decay=0.1, decays="parameters with ndim >= 2", warmup=4, decay_until=18, clip=1.0,
    lr_formula="t = step-1; lr*(t+1)/(warmup+1) for t < warmup; min_lr for t > decay_until; else "
    "min_lr + (lr-min_lr)*0.5*(1 + cos(pi*(t-warmup)/(decay_until-warmup)))",
    clip_formula="every gradient times min(1, clip/(norm+1e-6))",
)


def learning_rate(t, r=RECIPE):
    if t < r["warmup"]:
        return r["lr"] * (t + 1) / (r["warmup"] + 1)
    if t > r["decay_until"]:
        return r["min_lr"]
    progress = (t - r["warmup"]) / (r["decay_until"] - r["warmup"])
    return r["min_lr"] + (r["lr"] - r["min_lr"]) * 0.5 * (1 + math.cos(math.pi * progress))


def batches(src, B, T, V, low=0):
    """20 batches of a noisy walk over [low, V): something to learn, with surprises."""
    n = V - low
    s = [src.integers(n, (STEPS, B))]
    for _ in range(T):
        noise = (src.integers(4, (STEPS, B)) == 0) * src.integers(n, (STEPS, B))
        s.append((3 * s[-1] + 1 + noise) % n)
    s = torch.stack(s, -1) + low
    return s[..., :-1].contiguous(), s[..., 1:].contiguous()


def loss_of(model, params, ids, targets, z_loss):
    logits, aux = model(params, ids)
    loss = cross_entropy(logits, targets, z_loss=z_loss) + aux.get("loss", 0.0)
    return loss, logits, aux


def adamw(params, recipe=RECIPE):
    """Returns update(step, lr) over the two groups."""
    opt = torch.optim.AdamW(
        [
            {"params": [p for p in params.values() if p.ndim >= 2], "weight_decay": recipe["weight_decay"]},
            {"params": [p for p in params.values() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=recipe["lr"], betas=recipe["betas"], eps=recipe["eps"], foreach=False,
    )

    def update(step, lr):
        for group in opt.param_groups:
            group["lr"] = lr
        opt.step()

    return update


def clip(params, max_norm):
    """torch's clipping; returns the norm before it."""
    return torch.nn.utils.clip_grad_norm_(params.values(), max_norm)


def train(model, init, ids, targets, dtype, z_loss, optimizer=adamw, lr_of=learning_rate, clip=clip):
    params = {n: torch.nn.Parameter(x.to(dtype, copy=True)) for n, x in init.items()}
    update = optimizer(params)
    losses, norms = [], []
    for t in range(STEPS):
        for p in params.values():
            p.grad = None
        loss, _, _ = loss_of(model, params, ids[t], targets[t], z_loss)
        loss.backward()
        norms.append(clip(params, RECIPE["clip"]).double())
        update(t + 1, lr_of(t))
        losses.append(loss.detach().double())
    return torch.stack(losses), torch.stack(norms), {n: p.detach() for n, p in params.items()}


def first_step(model, init, ids, targets, z_loss=0.0):
    """(loss, logits, aux, gradients) in float64, unclipped."""
    params = {n: torch.nn.Parameter(x.clone()) for n, x in init.items()}
    loss, logits, aux = loss_of(model, params, ids[0], targets[0], z_loss)
    loss.backward()
    return loss.detach(), logits.detach(), aux, {n: p.grad for n, p in params.items()}


def runs(model, init, ids, targets, z_loss=0.0, leave_out=lambda n, x: x, **how):
    """Tensors of the float64 and the float32 run, and how far apart their weights end."""
    out, ends = {}, {}
    for label, dtype in ("f64", torch.float64), ("f32", torch.float32):
        loss, norm, final = train(model, init, ids, targets, dtype, z_loss, **how)
        out |= {f"{label}/loss": loss, f"{label}/norm": norm}
        out |= {f"{label}/final/{n}": x for n, x in final.items()}
        ends[label] = final
    error = max(
        (leave_out(n, ends["f32"][n].double()) - leave_out(n, x)).abs().max().item()
        for n, x in ends["f64"].items()
    )
    # Beyond this the run itself is ill-conditioned, and no test of float32 code could use it.
    assert error < 2e-5, f"float32 ends {error:.2e} from float64"
    return out, error


def golden(name, system, config, model, init, ids, targets, z_loss=0.0, extra=None, leave_out=None, note=None):
    """Writes testdata/name.safetensors."""
    loss, logits, aux, grads = first_step(model, init, ids, targets, z_loss)
    for n, g in grads.items():
        assert g is not None and torch.isfinite(g).all(), n
    if "loss" not in aux and not z_loss:
        torchs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[0].flatten())
        assert (torchs - loss).abs() < 1e-14
    tensors = {f"init/{n}": x.float() for n, x in init.items()}
    tensors |= {"ids": ids, "targets": targets, "logits": logits}
    tensors |= {f"grad/{n}": g for n, g in grads.items()}
    tensors |= {f"aux/{n}": torch.as_tensor(x) for n, x in aux.items()}
    tensors["lr"] = torch.tensor([learning_rate(t) for t in range(STEPS)], dtype=torch.float64)
    trace, error = runs(model, init, ids, targets, z_loss, **({"leave_out": leave_out} if leave_out else {}))
    tensors |= trace | (extra or {})
    assert torch.equal(trace["f64/loss"][0], loss)
    header = {
        "system": system, "config": config, "recipe": RECIPE | {"z_loss": z_loss},
        "decay": [n for n, x in init.items() if x.ndim >= 2],
        "no_decay": [n for n, x in init.items() if x.ndim < 2],
        "f32_error": error,
    }
    if note:
        header["note"] = note
    save(name, tensors, header)
    print(f"  loss {trace['f64/loss'][0]:.4f} -> {trace['f64/loss'][-1]:.4f}, "
          f"norms {trace['f64/norm'].min():.2f} .. {trace['f64/norm'].max():.2f}, float32 off by {error:.1e}")
