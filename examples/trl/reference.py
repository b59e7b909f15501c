"""The reference model of a TRL trainer, served by refmodel: no second model in this process."""

import requests
import torch
from trl import DPOTrainer, GRPOTrainer


class Reference:
    """`url`: any address of a ReferenceModel, such as http://llama-8b.rl.svc or http://gateway/rl/llama-8b."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.session = requests.Session()

    def logprobs(self, input_ids, attention_mask, temperature=1.0):
        """[rows, length - 1]: of each token given those before it; 0 where there is nothing to know, as at pads."""
        body = {"input_ids": input_ids.tolist(), "attention_mask": attention_mask.tolist()}
        if temperature != 1.0:
            body["temperature"] = temperature
        answer = self.session.post(f"{self.url}/v1/logprobs", json=body, timeout=600)
        if not answer.ok:
            raise RuntimeError(f"{answer.status_code}: {answer.text}")
        rows = answer.json()["logprobs"]
        values = [[0.0 if value is None else value for value in row[1:]] for row in rows]
        return torch.tensor(values, device=input_ids.device)


class RefmodelGRPOTrainer(GRPOTrainer):
    """GRPO with `beta` and without a copy of the model."""

    def __init__(self, *args, reference, **kwargs):
        config = kwargs["args"]
        beta, config.beta = config.beta, 0.0  # with another beta it would load one
        super().__init__(*args, **kwargs)
        self.beta = config.beta = beta
        self.ref_model = reference

    def _get_per_token_logps_and_entropies(self, model, input_ids, attention_mask, logits_to_keep, *args, **kwargs):
        if model is not self.ref_model:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        logps = model.logprobs(input_ids, attention_mask, self.temperature)
        return logps[:, -logits_to_keep:], None, None


class RefmodelDPOTrainer(DPOTrainer):
    """DPO whose reference log-probs are asked for once, before it trains."""

    def __init__(self, *args, reference, **kwargs):
        self.reference = reference
        kwargs["args"].precompute_ref_log_probs = True  # so that no copy of the model is loaded
        super().__init__(*args, **kwargs)

    def compute_ref_log_probs(self, model, inputs):
        logps = self.reference.logprobs(inputs["input_ids"], inputs["attention_mask"])
        sums = (logps * inputs["completion_mask"][:, 1:]).sum(dim=1)
        return sums.chunk(2)  # a batch is chosen, then rejected
