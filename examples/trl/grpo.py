"""A few steps of GRPO on CPU, with the reference model in refmodel, or in this process when no URL is given.

    python examples/trl/grpo.py examples/models/tiny-python-llama [http://127.0.0.1:8080/default/tiny-python-llama]
"""

import json
import sys
import tempfile

from datasets import Dataset
from reference import Reference, RefmodelGRPOTrainer
from trl import GRPOConfig, GRPOTrainer

model, *urls = sys.argv[1:]
prompts = ["def add(a, b):\n", "class Parser:\n    ", "import os\n", "for item in items:\n    "]


def many_words(completions, **_):
    """A reward that differs within a group."""
    return [float(len(completion.split())) for completion in completions]


with tempfile.TemporaryDirectory() as output:
    trainer_type, reference = (RefmodelGRPOTrainer, {"reference": Reference(urls[0])}) if urls else (GRPOTrainer, {})
    trainer = trainer_type(
        model=model,
        reward_funcs=many_words,
        train_dataset=Dataset.from_dict({"prompt": prompts * 4}),
        args=GRPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=False,  # the policy computes in float32, as refmodel does on CPU
            seed=7,
            beta=0.1,
            learning_rate=1e-4,
            max_steps=3,
            per_device_train_batch_size=8,
            num_generations=4,
            temperature=0.9,  # scales the log-probs of policy and reference alike
            max_completion_length=16,
            model_init_kwargs={"dtype": "float32"},
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        **reference,
    )
    trainer.train()
    steps = [{"loss": log["loss"], "kl": log["kl"]} for log in trainer.state.log_history if "kl" in log]
    print(json.dumps({"steps": steps}))
