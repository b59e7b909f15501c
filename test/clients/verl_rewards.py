"""verl's own worker of reward models that judge: first as it asks vLLM, then as it asks SGLang."""

import asyncio
import json
import sys

import numpy as np
import torch
from omegaconf import OmegaConf
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

url, name, folder = sys.argv[1:]
rows = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(folder)
tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
tokenizer.bos_token = None  # that of this model is added by nobody: verl would cut it off


def worker(engine):
    made = RewardLoopWorker.__new__(RewardLoopWorker)  # its constructor wants the whole of a run
    made.config = OmegaConf.create({"reward": {"reward_model": {"model_path": name, "rollout": {"name": engine}}}})
    made.reward_router_address = url.removeprefix("http://")
    made.input_tokenizer = made.reward_model_tokenizer = tokenizer
    return made


def sample(row):
    ids = torch.tensor([row])
    prompts = np.empty(1, dtype=object)
    prompts[0] = []
    return DataProto.from_dict(
        tensors={"responses": ids, "attention_mask": torch.ones_like(ids)}, non_tensors={"raw_prompt": prompts}
    )


async def ask(engine):
    answers = await asyncio.gather(*[worker(engine).compute_score_disrm(sample(row)) for row in rows])
    return [[answer["reward_score"]] for answer in answers]


print(json.dumps([asyncio.run(ask("vllm")), asyncio.run(ask("sglang"))]))
