"""The models that answer: a ticket beside its dense model, or one model alone."""

from __future__ import annotations

import json
import random
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.answers.answering import TimedAnswer, likeliest
from exporters.graph.onnx_file import OnnxFile
from exporters.runtime import OnnxVqaModel, pad_regions
from lxcompress.errors import ModelError
from lxcompress.vision.regions import Regions

# Of two models that take a millisecond each, the first one finds cold CPU caches and appears five
# times as slow. Short runs are therefore repeated, in about 20 ms for each model.
_MAX_ROUNDS, _TIMING_BUDGET_MS = 4, 20.0


@dataclass(frozen=True, eq=False)
class Answer(TimedAnswer):
    """One model's answer to one question.

    attention: float32 `[regions]`, the answer's attention to each region; sums to 1, or all
        0 for a ticket that never looks at them.
    """

    attention: np.ndarray


class Model:
    """An exported file in memory: it keeps answering after the file is deleted.

    bytes: size of the file.
    sparsity: fraction of the prunable weights that are pruned; None for a dense model.
    compact: whether it has fewer heads or neurons than the dense model.
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
        self.compact = "compact" in self._model.metadata["encoding"]
        sparsity = json.loads(self._model.metadata["sparsity"])
        self.sparsity: float | None = sparsity and sparsity["prunable"]
        self.labels = self._model.labels
        self.tokenizer = self._model.tokenizer
        self.feature_size = self._model.feature_size

    def warm_up(self) -> float:
        """Run twice, so that the first question is not slow; return the second time in ms."""
        blank = Regions(np.zeros((1, self.feature_size), np.float32), np.zeros((1, 4), np.float32))
        times = [self.answer("what is this?", blank).milliseconds for _ in range(2)]
        return times[-1]

    def answer(self, question: str, regions: Regions) -> Answer:
        """Answer one question as a batch of its own: int8 logits depend on the whole batch.

        Raises:
            ModelError: a logit is NaN or infinite.
        """
        start = time.perf_counter()
        inputs = self._model.encode([question]) | pad_regions([regions])
        (logits,), (attention,) = self._model.logits_and_attention(inputs)
        milliseconds = 1000 * (time.perf_counter() - start)
        return Answer(likeliest(self.labels, logits), milliseconds, attention)


@dataclass(frozen=True)
class Models:
    """The model that answers, and the dense model that it is compared with.

    main: a run's ticket, or any model alone.
    dense: of the ticket's run; None for a model alone.
    rounds: how often they answer a question, to be timed; with more than one, the first does not
        count.
    """

    main: Model
    dense: Model | None = None
    rounds: int = 1

    @classmethod
    def open(cls, main: Path, dense: Path | None, device: str, threads: int | None) -> Models:
        """Load and warm up the files.

        Raises:
            ModelError: a file cannot be loaded, its logits are not finite, or the two have
                different answer vocabularies.
            DeviceError: the device cannot be used here.
        """
        models = cls(
            Model(main, device, threads),
            None if dense is None else Model(dense, device, threads),
        )
        if models.dense is not None and models.main.labels != models.dense.labels:
            raise ModelError(
                f"{main} and {dense} have different answers, so they come from different runs; "
                "export both files of one run again"
            )
        slowest = max(model.warm_up() for model in models.all)
        return replace(models, rounds=min(_MAX_ROUNDS, max(1, int(_TIMING_BUDGET_MS / slowest))))

    @property
    def all(self) -> list[Model]:
        """One or both."""
        return [self.main] if self.dense is None else [self.main, self.dense]

    def answer(self, question: str, regions: Regions) -> tuple[Answer, Answer | None]:
        """The main model's answer and the dense model's, with the medians of their times.

        In each round they answer in random order, so that neither is always the first.
        """
        answers: dict[Model, list[Answer]] = {model: [] for model in self.all}
        for _ in range(self.rounds):
            for model in random.sample(list(answers), len(answers)):
                answers[model].append(model.answer(question, regions))
        main, *dense = map(_median_answer, answers.values())
        return main, dense[0] if dense else None


def _median_answer(answers: list[Answer]) -> Answer:
    """The first of equal answers, with the median time of all but the first if there are more."""
    times = [answer.milliseconds for answer in answers[1:] or answers]
    return replace(answers[0], milliseconds=statistics.median(times))
