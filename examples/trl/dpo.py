"""A few steps of DPO on CPU, with the reference model in refmodel, or in this process when no URL is given.

    python examples/trl/dpo.py examples/models/tiny-python-llama [http://127.0.0.1:8080/default/tiny-python-llama]
"""

import json
import sys
import tempfile

from datasets import Dataset
from reference import Reference, RefmodelDPOTrainer
from trl import DPOConfig, DPOTrainer

model, *urls = sys.argv[1:]
pairs = [
    {"prompt": "def add(a, b):\n", "chosen": "    return a + b\n", "rejected": "    pass\n"},
    {"prompt": "import os\n", "chosen": "import sys\n", "rejected": "print(1)\n"},
    {"prompt": "for item in items:\n", "chosen": "    print(item)\n", "rejected": "    items = None\n"},
    {"prompt": "class Parser:\n", "chosen": "    def parse(self, text):\n", "rejected": "    x = 1\n"},
]

with tempfile.TemporaryDirectory() as output:
    trainer_type, reference = (RefmodelDPOTrainer, {"reference": Reference(urls[0])}) if urls else (DPOTrainer, {})
    trainer = trainer_type(
        model=model,
        train_dataset=Dataset.from_list(pairs * 2),
        args=DPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=False,  # the policy computes in float32, as refmodel does on CPU
            seed=7,
            beta=0.1,
            learning_rate=1e-4,
            max_steps=3,
            per_device_train_batch_size=2,
            model_init_kwargs={"dtype": "float32"},
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        **reference,
    )
    trainer.train()
    steps = [{"loss": log["loss"]} for log in trainer.state.log_history if "loss" in log]
    print(json.dumps({"steps": steps}))
