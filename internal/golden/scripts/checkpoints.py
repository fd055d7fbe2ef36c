"""Checkpoint folders as transformers writes them, and the logits that it reads out of them.

Run:   python internal/golden/scripts/checkpoints.py
Makes: testdata/hf-NAME/ (config.json, model.safetensors or shards with an index) and
       testdata/hf-NAME.safetensors: ids (B,T) I32, logits (B,T,V) F64, computed in float64 from the
       stored weights, and logits_f32 as transformers gives them in float32

  hf-gpt2      F32
  hf-gpt2-hub  the same model as the public gpt2 repository stores it: no "transformer." in the
               names, and the causal masks h.N.attn.bias beside the weights
  hf-llama     BF16, grouped-query
  hf-mistral   F16, sliding window; its config.json has the older keys of the public checkpoint
               (rope_theta and torch_dtype instead of rope_parameters and dtype)
  hf-mixtral   F32, in three or more shards with model.safetensors.index.json
"""

import json
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

import huggingface
from common import TESTDATA, Source, save

B, T, V = 2, 9, 29
DECODER = dict(
    vocab_size=V, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=T, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
)
MODELS = {
    "gpt2": ("gpt2", torch.float32, None, dict(
        vocab_size=V, n_positions=T, n_embd=16, n_layer=2, n_head=4, initializer_range=0.3,
        bos_token_id=0, eos_token_id=0)),
    "llama": ("llama", torch.bfloat16, None, DECODER | dict(rms_norm_eps=1e-5)),
    "mistral": ("mistral", torch.float16, None, DECODER | dict(head_dim=6, sliding_window=4, rms_norm_eps=1e-5)),
    "mixtral": ("mixtral", torch.float32, "12KB", DECODER | dict(
        num_local_experts=4, num_experts_per_tok=2, sliding_window=None, rms_norm_eps=1e-5, router_aux_loss_coef=0.02,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6})),
}


def logits_of(folder, ids, dtype):
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager").eval()
    if dtype == torch.float32:
        return model(input_ids=ids, use_cache=False).logits.detach()
    huggingface.rope_in_float64(model)
    with huggingface.everything_in_float64():
        return model(input_ids=ids, use_cache=False).logits.detach()


def write(name, model_type, dtype, shard, options):
    torch.manual_seed(1)
    config = AutoConfig.for_model(model_type, **options)
    model = AutoModelForCausalLM.from_config(config)
    src = Source(500)
    for n, p in model.named_parameters():
        if p.ndim == 1:  # else gains are all one and biases all zero
            p.data += 0.1 * src.normal(p.shape).float()
    folder = TESTDATA / f"hf-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)


def as_on_the_hub():
    """Rewrites two folders in the form of the public checkpoints."""
    hub = TESTDATA / "hf-gpt2-hub"
    shutil.rmtree(hub, ignore_errors=True)
    shutil.copytree(TESTDATA / "hf-gpt2", hub)
    tensors = {n.removeprefix("transformer."): x for n, x in load_file(hub / "model.safetensors").items()}
    for layer in range(2):
        tensors[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(1, 1, T, T))
    save_file(tensors, hub / "model.safetensors", metadata={"format": "pt"})

    path = TESTDATA / "hf-mistral" / "config.json"
    config = json.loads(path.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    for name, (model_type, dtype, shard, options) in MODELS.items():
        write(name, model_type, dtype, shard, options)
    as_on_the_hub()
    ids = Source(501).integers(V, (B, T))
    logits = {}
    for name in list(MODELS) + ["gpt2-hub"]:
        folder = TESTDATA / f"hf-{name}"
        for f in folder.iterdir():
            f.chmod(0o644)
        exact, single = (logits_of(folder, ids, dtype) for dtype in (torch.float64, torch.float32))
        diff = (exact - single).abs().max().item()
        assert diff < 1e-4, diff
        logits[name] = exact
        save(f"hf-{name}", {"ids": ids, "logits": exact, "logits_f32": single}, {"folder": f"hf-{name}"})
        print(f"  {sorted(f.name for f in folder.iterdir())}, float32 off by {diff:.1e}")
    assert torch.equal(logits["gpt2"], logits["gpt2-hub"])


if __name__ == "__main__":
    main()
