"""Does transformers read a folder that gorget wrote, and see the same model in it?

Run:   python internal/golden/scripts/reload.py FOLDER hf-NAME
where FOLDER is testdata/hf-NAME loaded by package checkpoint and saved again. Every tensor must be
there, with no other; the logits on the golden batch must be the golden ones. If gorget saved in
another type than the original's, say how close: a third argument, 1e-2 for BF16, 1e-3 for F16.
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checkpoints import logits_of
from common import TESTDATA


def main(folder, name, tolerance=1e-12):
    assert pathlib.Path(folder).is_dir(), f"{folder} is no folder"
    _, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    for kind in "missing_keys", "unexpected_keys", "mismatched_keys":
        assert not info[kind], (kind, info[kind])
    want = load_file(TESTDATA / f"{name}.safetensors")
    got = logits_of(folder, want["ids"].long(), torch.float64)
    diff = (got - want["logits"]).abs().max().item()
    assert diff <= float(tolerance), f"logits differ by {diff:.2e}"
    print(f"{folder}: transformers reads every tensor, logits to {diff:.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
