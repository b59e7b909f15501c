"""Makes some of the models in this folder: checkpoints with random weights, and what they must answer, in float64.

    python test/golden/generate.py

Made with Python 3.11, torch 2.15.0 (CPU), transformers 5.23.0 and safetensors. Knows what to build and how to save it;
the truth is transformers' own, with every float32 inside of it replaced by float64. What stands here differs from
checkpoints of the usual kind in the way that its name and comment tell.
"""

import json
import math
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from float64 import Float64

here = Path(__file__).parent
common = dict(
    vocab_size=101, hidden_size=48, intermediate_size=70, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)


def randomize(model, seed, is_shifted):
    """Matrices keep the size of what they multiply; norms are near one, or near zero where one is added to them."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 1:
            value = noise * 0.1 if "bias" in name or is_shifted else 1 + noise * 0.2
        elif "embed" in name or "wte" in name or "wpe" in name:
            value = noise * 0.25
        else:
            value = noise * 1.3 / math.sqrt(parameter.shape[0 if ".c_" in name else -1])
        with torch.no_grad():
            parameter.copy_(value)


def exact(saved):
    """The saved model, with all that is derived from its config computed in float64."""
    model = type(saved)._from_config(saved.config, attn_implementation="eager", experts_implementation="eager")
    model.load_state_dict(saved.state_dict())
    return model.double().eval()


def answers(folder, cls, lengths, seed):
    generator = torch.Generator().manual_seed(seed + 1)
    saved = cls.from_pretrained(folder, dtype=torch.float64)
    rows = []
    with Float64(), torch.no_grad():
        model = exact(saved)
        for length in lengths:
            ids = torch.randint(3, 95, (1, length), generator=generator)
            logits = model(input_ids=ids).logits[0]
            if "SequenceClassification" in cls.__name__:
                rows.append({"input_ids": ids[0].tolist(), "scores": logits.tolist()})
                continue
            found = torch.log_softmax(logits, -1)[:-1].gather(1, ids[0, 1:, None])[:, 0]
            rows.append({"input_ids": ids[0].tolist(), "log_probs": found.tolist()})
    return rows


def make(name, cls, config, *, dtype="bfloat16", lengths=(2, 5, 17, 40), rename=None, rewrite=None):
    folder = here / name
    shutil.rmtree(folder, ignore_errors=True)
    cls = getattr(transformers, cls)
    seed = sum(map(ord, name))
    model = cls(config if not isinstance(config, dict) else cls.config_class(**config))
    randomize(model, seed, "Gemma" in cls.__name__)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if rename:
        tensors = load_file(folder / "model.safetensors")
        save_file(rename(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    if rewrite:
        path = folder / "config.json"
        path.write_text(json.dumps(rewrite(json.loads(path.read_text())), indent=2) + "\n")
    rows = answers(folder, cls, lengths, seed)
    (folder / "golden.json").write_text(json.dumps({"model": name, "rows": rows}) + "\n")


def without_prefix(tensors):
    """As in openai-community/gpt2: no "transformer." before the names, and masks that are no weights."""
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return {**named, "h.0.attn.bias": torch.ones(1, 1, 128, 128), "h.0.attn.masked_bias": torch.tensor(-1e4)}


def older(**fields):
    """config.json as transformers 4 wrote it: settings of the rope beside the others."""

    def rewrite(config):
        rope = config.pop("rope_parameters")
        kept = {key: rope.pop(key) for key in ("rope_theta", "partial_rotary_factor") if key in rope}
        return {**config, **kept, "torch_dtype": config.pop("dtype"), "rope_scaling": rope, **fields}

    return rewrite


make("gpt2-without-prefix", "GPT2LMHeadModel",
     dict(vocab_size=101, n_embd=48, n_layer=2, n_head=4, n_inner=50, n_positions=128, bos_token_id=1, eos_token_id=2),
     dtype="float16", rename=without_prefix)

# transformers 5 counts experts by another name; a dense layer among the sparse; shares that are not scaled to one
make("qwen3-moe-mixed", "Qwen3MoeForCausalLM",
     dict(**common, head_dim=20, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=22, norm_topk_prob=False,
          mlp_only_layers=[0]))

# the larger Gemma 3: text in a part of config.json and under another prefix, the rope without a window scaled
text = transformers.Gemma3TextConfig(
    **common, head_dim=12, sliding_window=9, layer_types=["sliding_attention", "full_attention"],
    rope_parameters={
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    })
vision = transformers.SiglipVisionConfig(
    hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8)
make("gemma3-with-images", "Gemma3ForConditionalGeneration",
     transformers.Gemma3Config(
         text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=1, image_token_index=100,
         boi_token_index=98, eoi_token_index=99))

# a quarter of a head of 20 is 5: rounded up to three pairs
make("gpt-neox-odd-rotation", "GPTNeoXForCausalLM",
     dict(vocab_size=101, hidden_size=80, intermediate_size=70, num_hidden_layers=2, num_attention_heads=4,
          max_position_embeddings=128, use_parallel_residual=False))

# as Phi-4-mini: a part of each head turns, by other factors in rows beyond the original length
factors = dict(short_factor=[1 + 0.03 * i for i in range(6)], long_factor=[1.2 + 0.9 * i for i in range(6)])
make("phi3-longrope-partial", "Phi3ForCausalLM",
     dict(**{**common, "hidden_size": 64, "max_position_embeddings": 128}, original_max_position_embeddings=32,
          tie_word_embeddings=True, partial_rotary_factor=0.75,
          rope_parameters=dict(rope_type="longrope", rope_theta=1e4, partial_rotary_factor=0.75, **factors)),
     lengths=(2, 31, 32, 33, 70),
     rewrite=older(rope_scaling={"type": "longrope", **factors}))

# config.json with two labels that it does not mention; a window; heads of 12
make("reward-mistral-2labels", "MistralForSequenceClassification",
     dict(**common, head_dim=12, sliding_window=7, num_labels=2), lengths=(1, 2, 5, 17, 40))
