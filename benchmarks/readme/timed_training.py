"""Training steps whose parts are timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from transformers import LxmertForQuestionAnswering

from benchmarks.readme.speed_report import seconds
from lxcompress.data.batches import Batch
from lxcompress.pruning.mask import MaskEnforcer
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training.buckets import ParameterBuckets
from lxcompress.training.optimizer import BertAdam
from lxcompress.training.step import answer_loss, training_step


class TimedTraining:
    """The training of a model on the CPU, step by step as in `lxcompress.training.loop`."""

    def __init__(self, model: LxmertForQuestionAnswering) -> None:
        self.model = model.train()
        self.weights = ParameterBuckets(p for p in model.parameters() if p.requires_grad)
        self.optimizer = BertAdam(self.weights.parameters, lr=5e-5)
        self.accelerator = make_accelerator("cpu", "fp32")

    def step(self, batch: Batch, enforcer: MaskEnforcer | None = None) -> dict[str, float]:
        """Do one step; return its seconds by part.

        The parts are forward, backward, mask (with an `enforcer`), clip and optimizer; "step" is
        their sum.
        """
        start = time.perf_counter()
        marks = {"start": start}
        training_step(
            self.model,
            batch,
            answer_loss,
            self.weights,
            self.optimizer,
            self.accelerator,
            enforcer,
            finished=lambda part: marks.update({part: time.perf_counter()}),
        )
        names, times = list(marks), list(marks.values())
        parts = {names[i]: times[i] - times[i - 1] for i in range(1, len(names))}
        return {"step": times[-1] - start, **parts}


def by_part(steps: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return a record of the seconds of each part over several steps."""
    return {part: seconds([step[part] for step in steps]) for part in steps[0]}
