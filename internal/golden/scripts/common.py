"""What every golden script shares: where files go, how they are written, a stable source of numbers.

A golden file is a safetensors file. Its metadata has one key, "golden", whose value is a JSON
object (the header): what was computed, with which settings, by which versions. Arrays are F64,
F32 or I32. Values that a test feeds in (weights, gradients) are rounded to float32 before use, so
that the same numbers serve a float64 and a float32 run and can be stored as F32.

Versions the committed files were made with: Python 3.11, torch 2.15.0, transformers 5.23.0,
safetensors 0.8.0, numpy 2.4.6.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
MAX_BYTES = 400_000

# Determinism: one thread and no fused attention make a rerun equal to the committed file.
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


class Source:
    """Random tensors whose values are float32 numbers, drawn from numpy's PCG64."""

    def __init__(self, seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def normal(self, shape, std=1.0, mean=0.0):
        """A float64 tensor of normal numbers, rounded to float32."""
        x = mean + std * self.rng.standard_normal(shape)
        return torch.from_numpy(np.asarray(x, dtype=np.float32).astype(np.float64))

    def integers(self, high, shape):
        """An int64 tensor of numbers in [0, high)."""
        return torch.from_numpy(self.rng.integers(0, high, shape))


def save(name, tensors, header):
    """Write testdata/name.safetensors and say how large it is."""
    header = dict(header, versions={"torch": torch.__version__, "numpy": np.__version__})
    out = {}
    for key, value in tensors.items():
        t = value.detach().clone().contiguous()
        if t.dtype == torch.int64:
            t = t.to(torch.int32)
        assert t.dtype in (torch.float64, torch.float32, torch.int32), (key, t.dtype)
        out[key] = t
    path = TESTDATA / f"{name}.safetensors"
    save_file(out, path, metadata={"golden": json.dumps(header)})
    path.chmod(0o644)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path.name}: {size} bytes, want < {MAX_BYTES}"
    print(f"{path.name}: {len(out)} tensors, {size} bytes")
