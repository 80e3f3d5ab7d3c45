"""Training steps whose parts are timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LxmertForQuestionAnswering

from benchmarks.readme.speed_report import seconds
from lxcompress.data.batches import Batch
from lxcompress.pruning.mask import MaskEnforcer
from lxcompress.training.loop import GRADIENT_CLIP, answer_loss
from lxcompress.training.optimizer import BertAdam

CPU = torch.device("cpu")


class TimedTraining:
    """The training of a model on the CPU, step by step as in `lxcompress.training.loop`."""

    def __init__(self, model: LxmertForQuestionAnswering) -> None:
        self.model = model.train()
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = BertAdam(self.parameters, lr=5e-5)

    def step(self, batch: Batch, enforcer: MaskEnforcer | None = None) -> dict[str, float]:
        """Do one step; return its seconds by part.

        The parts are forward, backward, mask (with an `enforcer`), clip and optimizer; "step" is
        their sum.
        """
        start = time.perf_counter()
        marks = {"start": start}
        loss = answer_loss(self.model, batch, CPU)
        marks["forward"] = time.perf_counter()
        loss.backward()
        marks["backward"] = time.perf_counter()
        if enforcer is not None:
            enforcer.mask_gradients()
            marks["mask"] = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_CLIP)
        marks["clip"] = time.perf_counter()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        marks["optimizer"] = time.perf_counter()
        names, times = list(marks), list(marks.values())
        parts = {names[i]: times[i] - times[i - 1] for i in range(1, len(names))}
        return {"step": times[-1] - start, **parts}


def by_part(steps: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return a record of the seconds of each part over several steps."""
    return {part: seconds([step[part] for step in steps]) for part in steps[0]}
