"""OpenRLHF's own call of a remote reward model: texts decoded with their special tokens, one a request.

As each script for rewards: takes the URL of a reward model, its name and its folder, rows of ids on stdin, asks twice,
prints a list with one score a row of each answer.
"""

import asyncio
import json
import sys

from openrlhf.utils.agent import SingleTurnAgentExecutor
from transformers import AutoTokenizer

url, _, folder = sys.argv[1:]
rows = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(folder)
executor = SingleTurnAgentExecutor(f"{url}/get_reward")


async def score(row):
    query = tokenizer.decode(row, skip_special_tokens=False)
    [answer] = await executor._fetch_rewards_via_http([query], ["a prompt"], ["a label"])
    assert answer["scores"] == answer["rewards"] and answer["extra_logs"] == {}
    return answer["scores"]


async def ask():
    return await asyncio.gather(*[score(row) for row in rows])


print(json.dumps([asyncio.run(ask()), asyncio.run(ask())]))
