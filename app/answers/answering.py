"""Any model that answers questions about regions: a run's ticket, a folder, a hub id, a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from lxcompress.config import MAX_TOKENS
from lxcompress.errors import ConfigError, ModelError
from lxcompress.run import Run
from lxcompress.vision.detectors import detector_of
from lxcompress.vision.regions import Regions

if TYPE_CHECKING:
    from lxcompress.model.source import ModelSource

_TOP_ANSWERS = 5


@dataclass(frozen=True)
class TimedAnswer:
    """An answer to one question.

    likeliest: the five most probable answers with their probabilities in 0-1, highest first; each
        is the sigmoid of the answer's own logit, as in training, so they need not sum to 1.
    milliseconds: from the question to the logits.
    """

    likeliest: list[tuple[str, float]]
    milliseconds: float

    @property
    def text(self) -> str:
        """The most probable answer."""
        return self.likeliest[0][0]


@dataclass(frozen=True)
class AnsweringModel:
    """A model in memory.

    labels: the answers, in the order of the logits.
    feature_size: features of a region that it takes.
    detector: name of the detector whose regions it was trained on.
    logits: from a question and a picture's regions to float32 `[answers]`.
    """

    labels: list[str]
    feature_size: int
    detector: str
    logits: Callable[[str, Regions], np.ndarray]

    def answer(self, question: str, regions: Regions) -> TimedAnswer:
        """Answer one question.

        Raises:
            ModelError: a logit is NaN or infinite.
        """
        start = time.perf_counter()
        logits = self.logits(question, regions)
        milliseconds = 1000 * (time.perf_counter() - start)
        return TimedAnswer(likeliest(self.labels, logits), milliseconds)


def likeliest(labels: list[str], logits: np.ndarray) -> list[tuple[str, float]]:
    """Return the five answers of the highest logits `[answers]`, with their probabilities.

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise ModelError("the model's logits are NaN or infinite: its weights are damaged")
    top = np.argsort(-logits, kind="stable")[:_TOP_ANSWERS]
    return [(labels[index], float(expit(logits[index]))) for index in top]


def open_answering(
    name: str,
    answers: str | None,
    tokenizer: str | None,
    detector: str | None,
    device: str,
) -> AnsweringModel:
    """Load the model that `name` names: a run (its ticket), a folder, a hub id, or an ONNX file.

    detector: name of the detector; None for the one of the run's data, or by the feature size.

    Raises:
        RunError, ModelError: there is no such model, or it has no answers or no tokenizer.
        ConfigError: an option does not fit.
        DeviceError: the device cannot be used here.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        if answers is not None or tokenizer is not None:
            raise ConfigError(f"{name} has its own answers; leave out --answers and --tokenizer")
        return _open_onnx(path, detector, device)
    from lxcompress.model.source import ModelSource

    if Run(path).exists():
        run = Run.open_finished(path)
        data = run.read_result().dataset
        source = ModelSource.open(run.ticket, answers, tokenizer)
        limit = run.read_config().max_tokens
        return _open_pytorch(source, detector or data.detector, device, limit)
    return _open_pytorch(ModelSource.open(name, answers, tokenizer), detector, device, MAX_TOKENS)


def _open_onnx(path: Path, detector: str | None, device: str) -> AnsweringModel:
    from exporters.runtime import OnnxVqaModel, pad_regions

    model = OnnxVqaModel(path, "cuda" if device == "cuda" else "cpu")

    def logits(question: str, regions: Regions) -> np.ndarray:
        found: np.ndarray = model.logits(model.encode([question]) | pad_regions([regions]))[0]
        return found

    size = model.feature_size
    return AnsweringModel(model.labels, size, detector or detector_of(size), logits)


def _open_pytorch(
    source: ModelSource, detector: str | None, device: str, max_tokens: int
) -> AnsweringModel:
    import torch

    from exporters.runtime import pad_regions
    from lxcompress.evaluation.predict import pytorch_forward
    from lxcompress.model.answer_head import labels_of
    from lxcompress.model.tokenizer import check_vocabulary
    from lxcompress.system.machine.device import resolve_device
    from lxcompress.ticket import is_ticket, load_mask

    labels = labels_of(source.read_config())
    model, tokenizer = source.load_model(), source.load_tokenizer()
    check_vocabulary(tokenizer, model.config)
    if is_ticket(source.folder):
        load_mask(source.folder, model)
    forward = pytorch_forward(model, torch.device(resolve_device(device)))
    limit = min(max_tokens, model.config.max_position_embeddings)

    def logits(question: str, regions: Regions) -> np.ndarray:
        ids = tokenizer([question], truncation=True, max_length=limit)["input_ids"]
        tokens = torch.tensor(ids)
        batch = {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "token_type_ids": torch.zeros_like(tokens),
            **{name: torch.from_numpy(array) for name, array in pad_regions([regions]).items()},
        }
        return forward(batch)[0]

    size = model.config.visual_feat_dim
    return AnsweringModel(labels, size, detector or detector_of(size), logits)
