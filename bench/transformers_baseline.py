"""The alternative: Hugging Face transformers on the CPU in float32. Reads "<rows> <tokens>" lines, answers seconds.

Needs torch and transformers; measured with torch 2.15 and transformers 5.23.
"""
import sys
import time

import torch
from transformers import AutoModelForCausalLM

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
print("ready", flush=True)
for line in sys.stdin:
    rows, tokens = map(int, line.split())
    ids = torch.randint(0, model.config.vocab_size, (rows, tokens))
    started = time.perf_counter()
    with torch.inference_mode():
        # a row at a time where the logits of all would not fit
        for part in ids.split(max(1, 512 // tokens)):
            logits = model(part).logits[:, :-1]
            torch.log_softmax(logits, -1).gather(-1, part[:, 1:, None])
    print(time.perf_counter() - started, flush=True)
