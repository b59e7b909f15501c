"""axolotl's own requests to a teacher: top log-probs of the prompt, first as it asks vLLM, then as it asks SGLang. Where the
top one is the token itself, its log-prob; NaN else.
"""

import json
import os
import sys

os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
from axolotl.integrations.kd.collator_online_teacher import OnlineTeacherCollator  # noqa: E402
from requests import Session  # noqa: E402

url, rows = sys.argv[1], json.load(sys.stdin)
k = 5
teacher = OnlineTeacherCollator.__new__(OnlineTeacherCollator)  # its constructor wants a tokenizer
teacher.kd_online_server_base_url, teacher.kd_online_topk, teacher.kd_temperature = url, k, 1.0
teacher.http_session, teacher.kd_online_timeout, teacher.kd_normalize_topk = Session(), 120, False


def own(ids, tops, row):
    """Of each token but the first, that of `tops` which is the token itself."""
    found = [dict(zip(some, values)) for some, values in zip(ids, tops, strict=True)]
    return [at.get(token) for at, token in zip(found, row[1:], strict=True)]


def ask(fetch, skipped):
    answer = fetch(rows, rows)
    ids, tops = answer["target_token_ids"], answer["target_logprobs"]
    return [own(ids[r][skipped:][: len(row) - 1], tops[r][skipped:][: len(row) - 1], row) for r, row in enumerate(rows)]


print(json.dumps([ask(teacher.fetch_online_logprobs_vllm, 0), ask(teacher.fetch_online_logprobs_sglang, 1)]))
