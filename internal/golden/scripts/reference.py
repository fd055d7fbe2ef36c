"""The parts that the reference models are built from: unfused, in the simplest form.

Letters: B batch, T time, C channels, H heads, K kv heads, D head size, F hidden, V vocabulary,
E experts. Everything runs in the dtype of its inputs, softmax and norms included.
"""

import math

import torch


def layer_norm(x, gain, bias, eps):
    """Over the last axis; bias may be None."""
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    y = (x - mean) / torch.sqrt(var + eps) * gain
    return y if bias is None else y + bias


def rms_norm(x, gain, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * gain


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def silu(x):
    return x / (1 + torch.exp(-x))


def split_heads(x, heads):
    """(B,T,heads*D) -> (B,heads,T,D)"""
    B, T, _ = x.shape
    return x.view(B, T, heads, -1).transpose(1, 2)


def merge_heads(x):
    """(B,H,T,D) -> (B,T,H*D)"""
    B, H, T, D = x.shape
    return x.transpose(1, 2).reshape(B, T, H * D)


def rope(x, theta, interleaved=False):
    """Rotates pairs of x (B,H,T,D) by t * theta^(-2i/D).

    Pair i is (i, i + D/2), "rotate half", or (2i, 2i+1) if interleaved.
    """
    T, D = x.shape[-2:]
    i = torch.arange(D // 2, dtype=x.dtype)
    angle = torch.arange(T, dtype=x.dtype)[:, None] * theta ** (-2 * i / D)  # (T,D/2)
    cos, sin = angle.cos(), angle.sin()
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    a, b = x[..., : D // 2], x[..., D // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def causal(T, window=None):
    """(T,T) bool: query i sees key j if 0 <= i-j, and i-j < window: window keys, itself included."""
    distance = torch.arange(T)[:, None] - torch.arange(T)[None, :]
    seen = distance >= 0
    return seen if not window else seen & (distance < window)


def attention(q, k, v, seen, scale, soft_cap=None):
    """q (B,H,T,D), k and v (B,K,T,D), seen broadcasts to (B,H,T,T). Query head h uses kv head h // (H/K)."""
    groups = q.shape[1] // k.shape[1]
    k = k.repeat_interleave(groups, dim=1)
    v = v.repeat_interleave(groups, dim=1)
    logits = q @ k.transpose(-1, -2) * scale
    if soft_cap is not None:
        logits = soft_cap * torch.tanh(logits / soft_cap)
    logits = logits.masked_fill(~seen, -math.inf)
    return torch.softmax(logits, -1) @ v


def experts(x, weights, expert):
    """Sum over the experts e of weights[:, e] * expert(e, x); x (N,C), weights (N,E).

    Each expert sees every token and most weights are zero: slow, and plainly right. An expert
    that no token chose so gets a gradient of exact zeros.
    """
    return sum(weights[:, e, None] * expert(e, x) for e in range(weights.shape[1]))


def chosen(scores, k):
    """Indices (N,k) of the k largest of scores (N,E)."""
    return torch.topk(scores, k, dim=-1).indices


def cross_entropy(logits, targets, ignore=-100, z_loss=0.0):
    """Mean over the targets that are not ignored of log Z - logit[target] + z_loss * (log Z)^2."""
    logits = logits.flatten(0, -2)
    targets = targets.flatten()
    counted = targets != ignore
    log_z = torch.logsumexp(logits, -1)
    own = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    loss = log_z - own + z_loss * log_z**2
    return loss[counted].mean()
