"""Holds a reference model against transformers: the same weights, in float64, on the same batch."""

import contextlib
import json
import pathlib
import tempfile
from unittest import mock

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()


@contextlib.contextmanager
def everything_in_float64():
    """transformers computes norms, RoPE and softmax in float32 whatever the weights' type.

    While this holds, the name torch.float32 means float64 there, so that the comparison can be
    to 1e-12 and not to float32's error.
    """
    with mock.patch.object(torch, "float32", torch.float64), \
         mock.patch.object(torch, "float", torch.float64), \
         mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def rope_in_float64(model):
    """Replaces the frequencies that transformers computed in float32 when it made the model."""
    with everything_in_float64():
        for module in model.modules():
            if hasattr(module, "inv_freq"):
                module.inv_freq, _ = module.compute_default_rope_parameters(module.config)
                module.original_inv_freq = module.inv_freq.clone()


def write_folder(folder, params, config, dtype=torch.float32):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {n: x.detach().to(dtype).contiguous() for n, x in params.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))


def load(params, config):
    """The transformers model that reads these weights and this config.json as a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(folder, params, config, torch.float64)
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager",
            output_loading_info=True,
        )
    for kind in "missing_keys", "unexpected_keys", "mismatched_keys":
        assert not info[kind], (kind, info[kind])
    rope_in_float64(model)
    return model.eval()


def check(params, config, ids, logits, grads, loss_of, renamed=lambda grads: grads):
    """Asserts that transformers has these logits and gradients.

    loss_of(output) is the loss as the reference forms it, from transformers' output; renamed maps
    the gradients from transformers' module names to the checkpoint's.
    """
    model = load(params, config)
    with everything_in_float64():
        out = model(input_ids=ids, use_cache=False, output_router_logits=True) \
            if config["model_type"] == "mixtral" else model(input_ids=ids, use_cache=False)
    diff = (out.logits - logits).abs().max().item()
    assert diff < 1e-12, f"logits differ by {diff:.2e}"
    loss_of(out).backward()
    theirs = renamed({n: p.grad for n, p in model.named_parameters()})
    assert sorted(theirs) == sorted(grads), set(theirs) ^ set(grads)
    worst = max((theirs[n] - g).abs().max().item() for n, g in grads.items())
    assert worst < 1e-12, f"gradients differ by {worst:.2e}"
    print(f"  as transformers has it: logits to {diff:.1e}, gradients to {worst:.1e}")
