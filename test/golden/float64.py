"""Truth without rounding: what runs inside of it computes in float64."""

import torch


class Float64:
    """Inside of it torch.float32 means float64, so that norms, softmax and angles are exact as well."""

    def __enter__(self):
        self.kept = torch.float32, torch.Tensor.float
        torch.float32 = torch.float = torch.float64
        torch.Tensor.float = torch.Tensor.double
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_):
        torch.float32 = torch.float = self.kept[0]
        torch.Tensor.float = self.kept[1]
        torch.set_default_dtype(torch.float32)
