"""What TRL 1.1 asks of its own server and how it decodes the arrays, written from its fields: it cannot be installed
beside the newer one."""

import base64
import json
import sys

import numpy as np
import requests

url, rows = sys.argv[1], json.load(sys.stdin)
assert requests.get(f"{url}/health/", timeout=60).status_code == 200
assert requests.get(f"{url}/get_world_size/", timeout=60).json() == {"world_size": 1}
body = {
    "sequences": rows,
    "prompt_lengths": [1] * len(rows),
    "top_logprobs": 3,
    "temperature": 1.0,
    "response_format": "binary",
}


def ask():
    answer = requests.post(f"{url}/get_sequence_logprobs/", json=body, timeout=300).json()
    batch, longest, _ = answer["shape"]
    actual = np.frombuffer(base64.b64decode(answer["actual_logprobs_b64"]), dtype=np.float32).reshape(batch, longest)
    lengths = answer["completion_lengths"]
    return [actual[i, :length].tolist() for i, length in enumerate(lengths)]


print(json.dumps([ask(), ask()]))
