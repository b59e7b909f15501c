"""The alternative on a GPU: per-token log-probabilities with Hugging Face transformers in bfloat16, eager and under
torch.compile. Prints a line of JSON per figure, tokens per second of the rows as they were asked.

  python3 alternative.py eager|compiled 1b|8b WORK …

<rows>x<tokens>: every position of whole batches. group: completions of 16 rows that share a prompt of 513 tokens, scored
only. mixed=FILE: the rows of a JSON file (a list of [prompt, completion] lengths), right-padded in batches of 16, as they
come and, "sorted", by length; compiled a layer at a time, since whole models of so many shapes would take an hour.
Before them, how fast this card multiplies matrices of 8,192.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

mode, kind, *works = sys.argv[1:]


def config():
    common = dict(vocab_size=128256, num_attention_heads=32, num_key_value_heads=8, rms_norm_eps=1e-5,
                  max_position_embeddings=131072, dtype="bfloat16")
    if kind == "1b":
        return LlamaConfig(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, tie_word_embeddings=True, **common)
    return LlamaConfig(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, tie_word_embeddings=False, **common)


torch.set_default_dtype(torch.bfloat16)
with torch.device("cuda"):
    model = AutoModelForCausalLM.from_config(config(), attn_implementation="sdpa").eval()
parameters = sum(p.numel() for p in model.parameters())
body, chunk = model.model, 4096


def tail(hidden, weight, labels):
    logits = torch.nn.functional.linear(hidden, weight).float()
    return logits.gather(-1, labels[:, None]).squeeze(-1) - torch.logsumexp(logits, -1)


if mode == "compiled":
    body, tail, chunk = torch.compile(model.model, dynamic=False), torch.compile(tail, dynamic=False), 512


@torch.no_grad()
def score(ids, scored):
    """ids [B, S]; scored: indices into the flattened rows whose next token is asked."""
    hidden = body(ids, use_cache=False).last_hidden_state.reshape(-1, model.config.hidden_size)
    labels = torch.roll(ids, -1, 1).reshape(-1)
    rest = -scored.shape[0] % chunk if mode == "compiled" else 0
    scored = torch.cat([scored, scored[-1:].expand(rest)])
    parts = scored.split(chunk)
    return torch.cat([tail(hidden[at], model.lm_head.weight, labels[at]) for at in parts])


def seconds(run, least=1.5):
    """Median of three calls or more, and what the first took. A card that is busy for long slows down: `least` seconds."""
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    run()
    found = []
    while len(found) < 3 or sum(found) < least:
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return sorted(found)[len(found) // 2], first


def tell(what, tokens, took):
    median, first = took
    print(json.dumps({"by": mode, "model": kind, "what": what, "tokens_per_second": round(tokens / median),
                      "first_seconds": round(first, 1), "parameters": parameters}), flush=True)


def random(rows, tokens):
    return torch.randint(0, model.config.vocab_size, (rows, tokens), device="cuda")


every = torch.arange


def dense(rows, tokens):
    ids, at = random(rows, tokens), every(rows * tokens, device="cuda")
    tell(f"{rows}x{tokens}", rows * tokens, seconds(lambda: score(ids, at).cpu()))


def group():
    ids = random(16, 1024)
    at = every(16 * 1024, device="cuda").view(16, 1024)[:, 512:1023].reshape(-1)
    tell("group", 16 * 1024, seconds(lambda: score(ids, at).cpu()))


def mixed(file):
    global body
    if mode == "compiled":
        torch._dynamo.config.recompile_limit = 64
        body = model.model
        for layer in body.layers:
            layer.compile(dynamic=False)
    rows = json.load(open(file))
    padded("mixed", rows)
    padded("mixed, sorted", sorted(rows, key=sum))


def padded(what, rows):
    batches = []
    for start in range(0, len(rows), 16):
        part = rows[start:start + 16]
        # a multiple of 128, or torch.compile would compile for every batch
        longest = -(-max(map(sum, part)) // 128) * 128
        at = torch.cat([every(p - 1, p + c - 1, device="cuda") + r * longest for r, (p, c) in enumerate(part)])
        batches.append((random(len(part), longest), at))
    useful = sum(map(sum, rows))
    tell(what, useful, seconds(lambda: [score(ids, at).cpu() for ids, at in batches]))


def multiplication(size=8192):
    a, b = torch.randn(size, size, device="cuda"), torch.randn(size, size, device="cuda")
    took, _ = seconds(lambda: [a @ b for _ in range(20)] and torch.cuda.synchronize())
    print(json.dumps({"what": "matmul", "tflops": round(20 * 2 * size**3 / took / 1e12)}), flush=True)


multiplication()
for work in works:
    if work == "group":
        group()
    elif work.startswith("mixed="):
        mixed(work.removeprefix("mixed="))
    else:
        dense(*map(int, work.split("x")))
