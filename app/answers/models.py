"""The dense model and the ticket, side by side on one question."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from exporters.graph.onnx_file import OnnxFile
from exporters.runtime.vqa_model import OnnxVqaModel, pad_regions
from lxcompress.errors import ModelError
from lxcompress.vision.regions import Regions

_LIKELIEST = 5
# Of two models of a millisecond, the one that comes first finds the processor's caches cold and
# seems five times as slow: a latency is a median of at most so many runs, in about so many ms.
_MOST_RUNS, _TIMING = 3, 20.0
_SMALL = 50_000_000  # bytes


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model says.

    likeliest: answers with their probabilities in 0-1, highest first. Each is the sigmoid of the
    answer's own logit, as the model is trained (binary cross-entropy for each answer), so that they
    need not sum to 1. milliseconds: of the model alone, regions given, from words to logits; a
    median of up to three runs where they are short. attention: float32 `[regions]`, how much the
    answer looked at each; sums to 1.
    """

    likeliest: list[tuple[str, float]]
    milliseconds: float
    attention: np.ndarray

    @property
    def text(self) -> str:
        """The likeliest answer."""
        return self.likeliest[0][0]


class Model:
    """One exported file, loaded whole: it goes on answering when the file is gone.

    bytes: size of the file; sparsity: zeros as a share of the prunable weights, None if dense.
    """

    def __init__(self, path: Path, device: str, threads: int | None) -> None:
        """`threads`: None for one if the file is small, else all cores.

        Raises ModelError, DeviceError as `OnnxVqaModel`.
        """
        file = OnnxFile(path)
        self.bytes = file.stored_bytes()
        if threads is None and self.bytes < _SMALL:
            threads = 1  # what takes a millisecond is not faster on more, and waits for all of them
        self._model = OnnxVqaModel(path, device, threads=threads, attention=True)
        self.variant = self._model.metadata["variant"]
        self.precision = self._model.metadata["precision"]
        sparsity = json.loads(self._model.metadata["sparsity"])
        self.sparsity: float | None = sparsity and sparsity["prunable"]
        self.labels = self._model.labels
        self.tokenizer = self._model.tokenizer
        (features,) = (i for i in self._model.session.get_inputs() if i.name == "visual_feats")
        self.feature_size: int = features.shape[-1]
        self._runs = 1

    def warm_up(self) -> None:
        """So that no first question waits; and find out how often to time each answer."""
        blank = Regions(np.zeros((1, self.feature_size), np.float32), np.zeros((1, 4), np.float32))
        self._runs = _MOST_RUNS
        usual = self.answer("what is this?", blank).milliseconds
        self._runs = min(_MOST_RUNS, max(1, int(_TIMING / usual)))

    def answer(self, question: str, regions: Regions) -> Answer:
        """Alone, not in a batch: an int8 file's logits depend on the questions beside."""
        runs = []
        for _ in range(self._runs):
            began = time.perf_counter()
            inputs = self._model.encode([question]) | pad_regions([regions])
            (logits,), (attention,) = self._model.logits_and_attention(inputs)
            runs.append(1000 * (time.perf_counter() - began))
        best = np.argsort(-logits, kind="stable")[:_LIKELIEST]
        chances = expit(logits[best])
        likeliest = [(self.labels[i], float(p)) for i, p in zip(best, chances, strict=True)]
        return Answer(likeliest, statistics.median(runs), attention)


@dataclass(frozen=True)
class Pair:
    """The ticket and the dense model that it is compared with."""

    ticket: Model
    dense: Model

    @classmethod
    def open(cls, ticket: Path, dense: Path, device: str, threads: int | None) -> Pair:
        """Load both files, ready to answer.

        Raises ModelError when they do not belong together.
        """
        pair = cls(Model(ticket, device, threads), Model(dense, device, threads))
        if pair.ticket.labels != pair.dense.labels:
            raise ModelError(f"{ticket} and {dense} have different answers: of different runs")
        for model in (pair.ticket, pair.dense):
            model.warm_up()
        return pair

    def answer(self, question: str, regions: Regions) -> tuple[Answer, Answer]:
        """The ticket's answer and the dense model's."""
        return self.ticket.answer(question, regions), self.dense.answer(question, regions)
