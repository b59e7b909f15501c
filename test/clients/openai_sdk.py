"""The OpenAI SDK: log-probs of prompts by `echo`, and by vLLM's `prompt_logprobs`.

As each script here: takes the URL of a model and rows of ids on stdin, asks twice, prints a list a row of each answer.
"""

import json
import sys

from openai import OpenAI

url, rows = sys.argv[1], json.load(sys.stdin)
client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=300)
model = client.models.list().data[0].id


def ask():
    answer = client.completions.create(
        model=model,
        prompt=rows,
        max_tokens=1,
        echo=True,
        logprobs=1,
        extra_body={"prompt_logprobs": 0},
    )
    echoed, scored = [], []
    for row, choice in zip(rows, answer.choices, strict=True):
        assert choice.logprobs.token_logprobs[0] is None
        echoed.append(choice.logprobs.token_logprobs[1:-1])
        entries = choice.prompt_logprobs
        assert entries[0] is None
        scored.append([next(iter(entry.values()))["logprob"] for entry in entries[1:]])
        assert [next(iter(entry)) for entry in entries[1:]] == [str(token) for token in row[1:]]
    assert echoed == scored
    return scored


print(json.dumps([ask(), ask()]))
