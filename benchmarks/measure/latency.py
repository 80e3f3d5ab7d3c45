"""Forward passes of systems that are timed, and percentiles of their latencies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import torch

Inputs = dict[str, np.ndarray]
# From a batch's arrays to float32 logits [B, answers] on the host.
Forward = Callable[[Inputs], np.ndarray]


def pytorch_forward(model: Any, device: str) -> Forward:
    """The forward pass of a model that is on `device`, in the model's own precision."""
    dtype = next(iter(model.parameters())).dtype

    def forward(inputs: Inputs) -> np.ndarray:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        for name in ("visual_feats", "visual_pos"):
            tensors[name] = tensors[name].to(dtype)
        with torch.inference_mode():
            return model(**tensors).question_answering_score.float().cpu().numpy()

    return forward


def over_batches(batches: Sequence[Inputs], forward: Forward) -> Callable[[], np.ndarray]:
    """A function that runs `forward` on the next batch at each call, cyclically."""
    following = cycle(batches)
    return lambda: forward(next(following))


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """The 50th, 90th and 99th percentile: `p50`, `p90`, `p99`."""
    p50, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return {"p50": p50, "p90": p90, "p99": p99}
