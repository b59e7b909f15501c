"""lm-eval's local-completions, which tokenizes by the server: one sum a row, of all tokens but the first."""

import json
import sys

from lm_eval.models.openai_completions import LocalCompletionsAPI

url, rows = sys.argv[1], json.load(sys.stdin)
model = LocalCompletionsAPI(
    base_url=f"{url}/v1/completions", model=sys.argv[2], tokenizer_backend="remote", batch_size=4
)


def ask():
    outputs = model.model_call([row for row in rows], generate=False)
    parsed = model.parse_logprobs(outputs, tokens=rows, ctxlens=[1] * len(rows))
    return [[total] for total, _ in parsed]


answers = [ask(), ask()]
assert model.tokenizer.encode("def add(a, b):"), "the server tokenizes"
print(json.dumps(answers))
