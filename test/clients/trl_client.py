"""TRL's client of a teacher: top log-probs and those of the actual tokens. It asks for vLLM, which it does not use."""

import json
import sys

import trl.generation.vllm_client as vllm_client

vllm_client.is_vllm_available = lambda *_, **__: True
url, rows = sys.argv[1], json.load(sys.stdin)
client = vllm_client.VLLMClient(base_url=url, connection_timeout=60)


def ask():
    answer = client.get_sequence_logprobs(
        sequences=rows, prompt_lengths=[1] * len(rows), top_logprobs=5, chunk_size=2
    )
    for tops in answer["logprobs"]:
        for values in tops:
            assert values == sorted(values, reverse=True) and len(values) == 5
    for row, ids in zip(rows, answer["actual_token_ids"], strict=True):
        assert [token for [token] in ids] == row[1:]
    return [[value for [value] in row] for row in answer["actual_logprobs"]]


print(json.dumps([ask(), ask()]))
