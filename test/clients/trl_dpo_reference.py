"""What TRL computes itself before DPO: a pair a record, of the reference log-probs of `chosen` and of `rejected`.

Takes the folder of a checkpoint and a data set in parquet.
"""

import json
import sys
import tempfile

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

model, data = sys.argv[1:]
with tempfile.TemporaryDirectory() as output:
    trainer = DPOTrainer(
        model=model,
        train_dataset=Dataset.from_parquet(data),
        args=DPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=False,
            precompute_ref_log_probs=True,
            model_init_kwargs={"dtype": "float32"},
            report_to=[],
            disable_tqdm=True,
        ),
    )
    print(json.dumps([[row["ref_chosen_logps"], row["ref_rejected_logps"]] for row in trainer.train_dataset]))
