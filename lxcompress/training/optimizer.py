"""BertAdam, the optimizer of BERT and LXMERT, and its learning-rate schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class BertAdam(torch.optim.AdamW):
    """Adam without bias correction and with decoupled weight decay on every parameter.

        m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g²
        w = w - lr (m / (√v + eps) + decay w)

    Source: `BertAdam` in LXMERT's src/lxrt/optimization.py (from pytorch-pretrained-BERT), without
    its gradient clipping, which LXMERT does outside too. This is torch's AdamW at step infinity,
    where its bias corrections 1 - b1^step and 1 - b2^step are 1. State: `exp_avg`, `exp_avg_sq`.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, fused=True)
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["step"] = torch.tensor(float("inf"), device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)


def linear_warmup(step: int, total: int, warmup: float = 0.1) -> float:
    """Return the learning-rate factor at `step` of `total`: linear warm-up, then linear decay to 0.

    It is 0 at step 0, as in LXMERT, so the first step changes the moments only.
    """
    progress = step / total
    if progress < warmup:
        return progress / warmup
    return max((progress - 1.0) / (warmup - 1.0), 0.0)
