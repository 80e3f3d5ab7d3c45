"""The dense model and the ticket, answering the same question."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.answers.answering import TimedAnswer, likeliest
from exporters.graph.onnx_file import OnnxFile
from exporters.runtime import OnnxVqaModel, pad_regions
from lxcompress.errors import ModelError
from lxcompress.vision.regions import Regions

# Of two models that take a millisecond each, the first one finds cold CPU caches and appears five
# times as slow. A latency is therefore the median of up to 3 runs, in about 20 ms altogether.
_MAX_RUNS, _TIMING_BUDGET_MS = 3, 20.0


@dataclass(frozen=True, eq=False)
class Answer(TimedAnswer):
    """One model's answer to one question; the time is the median of up to three runs if short.

    attention: float32 `[regions]`, the answer's attention to each region; sums to 1, or all
        0 for a ticket that never looks at them.
    """

    attention: np.ndarray


class Model:
    """An exported file in memory: it keeps answering after the file is deleted.

    bytes: size of the file.
    sparsity: fraction of the prunable weights that are zero; None for a dense model.
    """

    def __init__(self, path: Path, device: str, threads: int | None) -> None:
        """Load the file; `threads` None means one for a small model, else all cores.

        Raises:
            ModelError, DeviceError: as `OnnxVqaModel`.
        """
        file = OnnxFile(path)
        self.bytes = file.stored_bytes()
        self._model = OnnxVqaModel(path, device, threads=threads, attention=True)
        self.variant = self._model.metadata["variant"]
        self.precision = self._model.metadata["precision"]
        sparsity = json.loads(self._model.metadata["sparsity"])
        self.sparsity: float | None = sparsity and sparsity["prunable"]
        self.labels = self._model.labels
        self.tokenizer = self._model.tokenizer
        self.feature_size = self._model.feature_size
        self._timed_runs = 1

    def warm_up(self) -> None:
        """Run once, so that the first question is not slow, and decide how often to time each."""
        blank = Regions(np.zeros((1, self.feature_size), np.float32), np.zeros((1, 4), np.float32))
        self._timed_runs = _MAX_RUNS
        milliseconds = self.answer("what is this?", blank).milliseconds
        self._timed_runs = min(_MAX_RUNS, max(1, int(_TIMING_BUDGET_MS / milliseconds)))

    def answer(self, question: str, regions: Regions) -> Answer:
        """Answer one question as a batch of its own: int8 logits depend on the whole batch."""
        milliseconds = []
        for _ in range(self._timed_runs):
            start = time.perf_counter()
            inputs = self._model.encode([question]) | pad_regions([regions])
            (logits,), (attention,) = self._model.logits_and_attention(inputs)
            milliseconds.append(1000 * (time.perf_counter() - start))
        return Answer(likeliest(self.labels, logits), statistics.median(milliseconds), attention)


@dataclass(frozen=True)
class ModelPair:
    """The ticket and the dense model that it is compared with."""

    ticket: Model
    dense: Model

    @classmethod
    def open(cls, ticket: Path, dense: Path, device: str, threads: int | None) -> ModelPair:
        """Load and warm up both files.

        Raises:
            ModelError: a file cannot be loaded, or the two have different answer vocabularies.
            DeviceError: the device cannot be used here.
        """
        pair = cls(Model(ticket, device, threads), Model(dense, device, threads))
        if pair.ticket.labels != pair.dense.labels:
            raise ModelError(
                f"{ticket} and {dense} have different answers, so they come from different runs; "
                "export both files of one run again"
            )
        for model in (pair.ticket, pair.dense):
            model.warm_up()
        return pair

    def answer(self, question: str, regions: Regions) -> tuple[Answer, Answer]:
        """The ticket's answer and the dense model's."""
        return self.ticket.answer(question, regions), self.dense.answer(question, regions)
