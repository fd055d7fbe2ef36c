"""PaLM's optimizer: Adafactor (Shazeer and Stern 2018, arXiv 1804.04235) without factoring, as t5x has it.

Run:   python internal/golden/scripts/adafactor.py
Makes: testdata/adafactor.safetensors

For parameter p with gradient g at step k = 1, 2, ..., and RMS(x) = sqrt(mean(x^2)):
  b2 = 1 - k^-0.8
  v  = b2*v + (1-b2)*(g^2 + 1e-30)
  y  = g / sqrt(v);  y = y / max(1, RMS(y)/threshold)
  u  = lr * max(RMS(p), 1e-3) * y
  m  = b1*m + (1-b1)*u                 no bias correction
  p  = (1 - lr^2)*p - m                the decay is not multiplied by lr again

Tensors: as in adamw.py, with init/, grad/, CASE/lr, CASE/DTYPE/{param,m,v}/PARAM.
Header: params, steps, snapshots, cases: name -> {beta1 (null: no momentum), decay_exponent (0.8),
parameter_scaling, clipping_threshold (null: no update clipping), weight_decay_exponent (2; null: no
decay), lr, warm}; the learning rate is lr*sqrt(warm/max(step, warm)).
"""

import math

import torch

from common import Source, save

STEPS = 100
SNAPSHOTS = [1, 2, 10, 100]
SHAPES = {"scalar": (), "bias": (5,), "matrix": (3, 4), "kernel": (2, 3, 2), "zero": (4,)}
DTYPES = {"f64": torch.float64, "f32": torch.float32}
PALM = dict(beta1=0.9, decay_exponent=0.8, parameter_scaling=True, clipping_threshold=1.0,
            weight_decay_exponent=2, lr=1e-2, warm=10)
CASES = {
    "palm": {},
    "no_momentum": dict(beta1=None),
    "no_parameter_scaling": dict(parameter_scaling=False),
    "no_update_clipping": dict(clipping_threshold=None),
    "no_decay": dict(weight_decay_exponent=None),
}


def learning_rate(t, c=PALM):
    """Of step t+1: PaLM's 1e-2 up to step `warm` (10,000 there), then as 1/sqrt(step)."""
    return c["lr"] * math.sqrt(c["warm"] / max(t + 1, c["warm"]))


def rms(x):
    return torch.sqrt((x * x).mean())


class Adafactor:
    def __init__(self, params, c=PALM):
        self.params, self.c = params, c
        self.v = {n: torch.zeros_like(p) for n, p in params.items()}
        self.m = {n: torch.zeros_like(p) for n, p in params.items()}

    @torch.no_grad()
    def __call__(self, k, lr):
        c = self.c
        b2 = 1 - k ** -c["decay_exponent"]
        for n, p in self.params.items():
            g = p.grad
            v = self.v[n] = b2 * self.v[n] + (1 - b2) * (g * g + 1e-30)
            y = g / torch.sqrt(v)
            if c["clipping_threshold"]:
                y = y / torch.clamp(rms(y) / c["clipping_threshold"], min=1.0)
            u = lr * y
            if c["parameter_scaling"]:
                u = u * torch.clamp(rms(p), min=1e-3)
            if c["beta1"] is not None:
                u = self.m[n] = c["beta1"] * self.m[n] + (1 - c["beta1"]) * u
            decay = lr ** c["weight_decay_exponent"] if c["weight_decay_exponent"] else 0.0
            p.copy_((1 - decay) * p - u)


def run(c, init, grads, dtype):
    params = {n: torch.nn.Parameter(x.to(dtype, copy=True)) for n, x in init.items()}
    update = Adafactor(params, c)
    snaps = {f"{k}/{n}": [] for n in params for k in ("param", "m", "v")}
    for t in range(STEPS):
        for n, p in params.items():
            p.grad = grads[n][t].to(dtype)
        update(t + 1, learning_rate(t, c))
        if t + 1 in SNAPSHOTS:
            for n, p in params.items():
                snaps[f"param/{n}"].append(p.detach().clone())
                snaps[f"m/{n}"].append(update.m[n].clone())
                snaps[f"v/{n}"].append(update.v[n].clone())
    return {k: torch.stack(x) for k, x in snaps.items()}


def main():
    src = Source(2)
    init = {n: src.normal(s, 0.0 if n == "zero" else 0.5) for n, s in SHAPES.items()}
    # Gradients that grow and shrink, so that update clipping acts on some steps only; and exact zeros.
    size = torch.tensor([0.02 + abs(math.sin(0.37 * t)) for t in range(STEPS)], dtype=torch.float64)
    grads = {}
    for n, s in SHAPES.items():
        g = src.normal((STEPS, *s), mean=0.1) * size.view(-1, *[1] * len(s))
        grads[n] = g.float().double()
    grads["kernel"][:, 0, 1, :] = 0.0
    tensors = {f"init/{n}": x.float() for n, x in init.items()}
    tensors |= {f"grad/{n}": g.float() for n, g in grads.items()}
    cases = {name: PALM | options for name, options in CASES.items()}
    for name, c in cases.items():
        tensors[f"{name}/lr"] = torch.tensor([learning_rate(t, c) for t in range(STEPS)], dtype=torch.float64)
        for label, dtype in DTYPES.items():
            tensors |= {f"{name}/{label}/{k}": v for k, v in run(c, init, grads, dtype).items()}
    save("adafactor", tensors, {"steps": STEPS, "snapshots": SNAPSHOTS, "cases": cases,
                                "params": {n: list(s) for n, s in SHAPES.items()}})


if __name__ == "__main__":
    main()
