"""Latency of several systems within one run, so that the machine's drift hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import cycle
from random import Random
from typing import Any, TypeVar

import numpy as np
import torch

Inputs = dict[str, np.ndarray]
Answer = Callable[[Inputs], np.ndarray]
Name = TypeVar("Name", bound=Hashable)


def in_pytorch(model: Any, device: str) -> Answer:
    """float32 logits on the host of a batch's arrays, by a model in its own precision."""
    dtype = next(iter(model.parameters())).dtype

    def logits(inputs: Inputs) -> np.ndarray:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        for name in ("visual_feats", "visual_pos"):
            tensors[name] = tensors[name].to(dtype)
        with torch.inference_mode():
            return model(**tensors).question_answering_score.float().cpu().numpy()

    return logits


def over(batches: Sequence[Inputs], answer: Answer) -> Callable[[], np.ndarray]:
    """A run that answers the next of `batches`, around and around."""
    following = cycle(batches)
    return lambda: answer(next(following))


def in_turns(
    systems: Mapping[Name, Callable[[], object]],
    *,
    runs: int,
    seconds: float,
    warm_up: int = 3,
    turned: Callable[[int, float], None] = lambda turns, elapsed: None,
) -> dict[Name, list[float]]:
    """Seconds of each run of each system, one run of each at a time, in an order drawn each turn.

    In a fixed order, rotated or not, a system always follows the same one, whose traces in caches
    and allocator it finds: the same file twice seemed 1.2 times as slow as itself.

    At least `runs` runs of each, and at least `seconds` of time in all; `warm_up` runs of each
    are not counted. A system returns when its answer is there (CUDA included). `turned` is told
    the number of turns and the seconds since the first, after each.
    """
    names = list(systems)
    for _ in range(warm_up):
        for name in names:
            systems[name]()
    samples: dict[Name, list[float]] = {name: [] for name in names}
    random = Random(0)
    began, turn = time.perf_counter(), 0
    while turn < runs or time.perf_counter() - began < seconds:
        for name in random.sample(names, len(names)):
            start = time.perf_counter()
            systems[name]()
            samples[name].append(time.perf_counter() - start)
        turn += 1
        turned(turn, time.perf_counter() - began)
    return samples


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Percentiles of seconds beside the raw samples."""
    p50, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return {"unit": "seconds", "p50": p50, "p90": p90, "p99": p99, "samples": list(samples)}


def times_faster(slow: Sequence[float], fast: Sequence[float]) -> float:
    """The median of the ratios of runs of the same turn."""
    return float(np.median(np.asarray(slow) / np.asarray(fast)))
