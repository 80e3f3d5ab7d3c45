"""BertAdam, the optimizer of BERT and LXMERT, and its learning-rate schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class BertAdam(torch.optim.Optimizer):
    """Adam without bias correction and with decoupled weight decay on every parameter.

        m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g²
        w = w - lr (m / (√v + eps) + decay w)

    Source: `BertAdam` in LXMERT's src/lxrt/optimization.py (from pytorch-pretrained-BERT), without
    its gradient clipping, which LXMERT does outside too. State: `exp_avg`, `exp_avg_sq`.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            list(params), {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
                self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient, with each group's current `lr`."""
        if closure is not None:
            raise ValueError("BertAdam takes no closure")
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not params:
                continue
            grads = [parameter.grad for parameter in params]
            first = [self.state[parameter]["exp_avg"] for parameter in params]
            second = [self.state[parameter]["exp_avg_sq"] for parameter in params]
            beta1, beta2 = group["betas"]
            torch._foreach_mul_(first, beta1)
            torch._foreach_add_(first, grads, alpha=1 - beta1)
            torch._foreach_mul_(second, beta2)
            torch._foreach_addcmul_(second, grads, grads, value=1 - beta2)
            update = torch._foreach_sqrt(second)
            torch._foreach_add_(update, group["eps"])
            torch._foreach_reciprocal_(update)
            torch._foreach_mul_(update, first)
            torch._foreach_add_(update, params, alpha=group["weight_decay"])
            torch._foreach_add_(params, update, alpha=-group["lr"])


def linear_warmup(step: int, total: int, warmup: float = 0.1) -> float:
    """Return the learning-rate factor at `step` of `total`: linear warm-up, then linear decay to 0.

    It is 0 at step 0, as in LXMERT, so the first step changes the moments only.
    """
    progress = step / total
    if progress < warmup:
        return progress / warmup
    return max((progress - 1.0) / (warmup - 1.0), 0.0)


def exempt_vectors_from_decay(optimizer: BertAdam) -> None:
    """Move biases and LayerNorm parameters to a group without weight decay, in place."""
    (group,) = optimizer.param_groups
    vectors = [parameter for parameter in group["params"] if parameter.dim() == 1]
    group["params"] = [parameter for parameter in group["params"] if parameter.dim() > 1]
    optimizer.param_groups.append({**group, "params": vectors, "weight_decay": 0.0})
