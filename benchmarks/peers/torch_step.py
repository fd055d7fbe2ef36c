"""A training step in PyTorch, for comparison: GPT-2 with AdamW on the CPU.

usage: torch_step.py '{"subject": "train_step", "mode": "eager", "threads": 2, "case": {...}}'

Subjects: train_step (forward, backward, AdamW) and adamw_step (AdamW alone on
case.N parameters). Modes: eager, compiled. After a line that says what it is,
it answers each line on stdin, a number of steps, with a line of JSON: the
seconds of each step, the last loss and the process's peak memory. At the end
of its input it exits.
"""

import json
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, C, H):
        super().__init__()
        self.H = H
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.c_attn, self.attn_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.c_fc, self.mlp_proj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def attention(self, x):  # (B,T,C)
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.H, C // self.H).transpose(1, 2)  # (B,H,T,D)
            for part in self.c_attn(x).split(C, dim=2)
        )
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # before PyTorch 2
            scores = q @ k.transpose(-2, -1) / math.sqrt(C // self.H)  # (B,H,T,T)
            future = torch.ones(T, T, dtype=torch.bool).triu(1)
            y = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return self.attn_proj(y.transpose(1, 2).reshape(B, T, C))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        h = self.c_fc(self.ln_2(x))
        try:
            h = F.gelu(h, approximate="tanh")
        except TypeError:  # before PyTorch 1.12
            h = F.gelu(h)
        return x + self.mlp_proj(h)


class GPT(nn.Module):
    def __init__(self, L, C, H, V, context):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(context, C)
        self.blocks = nn.ModuleList(Block(C, H) for _ in range(L))
        self.ln_f = nn.LayerNorm(C)
        for name, p in self.named_parameters():
            if p.dim() >= 2:
                std = 0.02 / math.sqrt(2 * L) if "proj" in name else 0.02
                nn.init.normal_(p, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens, targets):  # (B,T)
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]  # (B,T,C)
        for block in self.blocks:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T  # (B,T,V), the tied head
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def adamw(params):
    """AdamW with the two usual groups, at the fastest that this version has."""
    groups = [
        {"params": [p for p in params if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    for fastest in ({"fused": True}, {"foreach": True}, {}):
        try:
            return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), **fastest), fastest
        except (TypeError, RuntimeError):  # not in this version, or not on the CPU
            pass


def train_step(case, mode):
    torch.manual_seed(1)
    B, T, V = case["B"], case["T"], case["V"]
    model = GPT(case["L"], case["C"], case["H"], V, case["Context"])
    optimizer, kind = adamw(list(model.parameters()))
    loss_of = torch.compile(model) if mode == "compiled" else model
    tokens = torch.randint(V, (B, T + 1))
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def step():
        loss = loss_of(inputs, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step, kind


def adamw_step(case, mode):
    p = nn.Parameter(torch.randn(case["N"]) * 0.02)
    p.grad = torch.randn(case["N"]) * 1e-3
    optimizer, kind = adamw([p])

    def step():
        optimizer.step()
        return 0.0

    return step, kind


def peak_rss():
    """Bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    make = {"train_step": train_step, "adamw_step": adamw_step}[job["subject"]]
    step, optimizer = make(job["case"], job["mode"])
    info = f"torch {torch.__version__}, {job['mode']}, {job['threads']} threads, AdamW {optimizer}"
    version = ".".join(torch.__version__.split(".")[:2])
    print(json.dumps({"info": info, "version": version}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            loss = step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_rss": peak_rss()}), flush=True)


if __name__ == "__main__":
    main()
