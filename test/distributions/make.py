"""Makes the files of this folder: what more than log-probabilities may be asked of a model, in float64.

    python test/distributions/make.py

Made with Python 3.11, torch 2.15.0 (CPU), transformers 5.23.0 and safetensors. The truth is transformers' own model with
every float32 inside of it replaced by float64; entropies, normalizers, tops and candidates are torch's.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

here = Path(__file__).parent
golden = here.parent / 'golden'
sys.path.insert(0, str(golden))
from float64 import Float64  # noqa: E402

# Plain, with soft caps, and with a scale of the logits.
folders = [here.parent.parent / 'examples/models/tiny-python-llama', golden / 'gemma2', golden / 'granite']
rows, row_tokens, top_k, width = 3, 24, 5, 3
temperatures = [1.0, 0.7, 1.6]


def rounded(tensor):
    return [float(f'{value:.12g}') for value in tensor.flatten().tolist()]


def truth_of(model, ids, temperature, generator):
    with torch.no_grad():
        hidden = model.base_model(torch.tensor([ids])).last_hidden_state[0]
        logits = model(torch.tensor([ids])).logits[0].double() / temperature
    vocabulary = logits.shape[-1]
    logprobs = torch.log_softmax(logits, -1)[:-1]
    targets = torch.tensor(ids[1:])[:, None]
    picked = logprobs.gather(1, targets)
    tops = logprobs.topk(top_k)
    candidates = torch.randint(vocabulary, (len(ids) - 1, width), generator=generator)
    return {
        'input_ids': ids,
        'temperature': temperature,
        'logprobs': rounded(picked),
        'ranks': (1 + (logprobs > picked).sum(-1)).tolist(),
        'entropies': rounded(-(logprobs.exp() * logprobs).sum(-1)),
        'normalizers': rounded(torch.logsumexp(logits, -1)[:-1]),
        'top_ids': tops.indices.flatten().tolist(),
        'top_logprobs': rounded(tops.values),
        'candidate_ids': candidates.flatten().tolist(),
        'candidate_logprobs': rounded(logprobs.gather(1, candidates)),
        'last_hidden': rounded(hidden[-2]),
    }


def main():
    for folder in folders:
        generator = torch.Generator().manual_seed(7)
        known = json.loads((folder / 'golden.json').read_text())['rows']
        with Float64():
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
            model.eval()
            long = [row['input_ids'] for row in known if len(row['input_ids']) >= row_tokens]
            truth = [
                truth_of(model, long[r % len(long)][:row_tokens], temperature, generator)
                for r, temperature in enumerate(temperatures)
            ]
        (here / f'{folder.name}.json').write_text(json.dumps({'top_k': top_k, 'width': width, 'rows': truth}) + '\n')


if __name__ == '__main__':
    main()
