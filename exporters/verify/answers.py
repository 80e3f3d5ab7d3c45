"""Check the answers of a file in stock ONNX Runtime against the model's in PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from exporters.graph.interface import OUTPUT
from exporters.graph.onnx_file import OnnxFile
from exporters.records import AnswerCheck
from exporters.runtime.session import folded_session
from exporters.runtime.vqa_model import OnnxVqaModel
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.data.questions.question import can_be_scored
from lxcompress.errors import ModelError
from lxcompress.evaluation.predict import answers_of, predict_logits, pytorch_forward
from lxcompress.evaluation.scoring import Score, score
from lxcompress.model.answer_head import labels_of

LOGIT_TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-1}
"""Root mean square difference of the logits, over their standard deviation."""

ACCURACY_TOLERANCE = {"fp32": 0.1, "fp16": 0.25, "int8": 0.5}
"""Points of accuracy that a file may lose, besides one question."""


def reference_logits(
    model: LxmertForQuestionAnswering, data: EncodedQuestions, device: str
) -> np.ndarray:
    """Return float32 `[questions, answers]`, computed in PyTorch, in the order of the questions."""
    forward = pytorch_forward(model, torch.device(device))
    logits = np.empty((len(data), len(labels_of(model.config))), np.float32)
    for rows, found in predict_logits(forward, data, description="Answering in PyTorch", workers=0):
        logits[rows] = found
    return logits


def check_answers(
    file: OnnxFile, data: EncodedQuestions, reference: np.ndarray, device: str
) -> AnswerCheck:
    """Compare logits and accuracy of a file with `reference_logits`.

    Raises:
        ModelError: they differ by more than the tolerance of the file's precision, or ONNX
            Runtime does not decode the weights while it loads the file.
    """
    name, metadata = file.path.name, file.metadata
    precision, labels = metadata["precision"], json.loads(metadata["labels"])
    run = _runner(file, device, precision)
    squares = largest = 0.0
    chosen = np.empty(len(data), np.int64)
    for rows, logits in predict_logits(
        lambda batch: run(model_arrays(batch))[0],
        data,
        description=f"Checking {name}",
        workers=0,
    ):
        difference = np.abs(logits - reference[rows])
        largest = max(largest, float(difference.max()))
        squares += float(np.square(difference, dtype=np.float64).sum())
        chosen[rows] = logits.argmax(axis=1)
    spread = float(reference.std(axis=1).mean()) or 1.0  # 0 for a model with a single answer
    relative = float(np.sqrt(squares / reference.size)) / spread
    expected = reference.argmax(axis=1)
    if not relative <= LOGIT_TOLERANCE[precision]:  # in this form, NaN does not pass
        raise ModelError(
            f"{name} does not answer like the model: its logits differ by {relative:.2g} of their "
            f"standard deviation, the tolerance of {precision} is {LOGIT_TOLERANCE[precision]:g}"
        )
    found, in_pytorch = _score(data, labels, chosen), _score(data, labels, expected)
    if found and in_pytorch:
        _check_accuracy(name, precision, in_pytorch.overall - found.overall, len(data))
    return AnswerCheck(
        questions=len(data),
        largest_logit_difference=largest,
        relative_logit_difference=relative,
        same_answers=float((chosen == expected).mean()),
        accuracy=found.accuracy() if found else None,
        accuracy_in_pytorch=in_pytorch.accuracy() if in_pytorch else None,
    )


def _runner(
    file: OnnxFile, device: str, precision: str
) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    session = folded_session(file.path, device)
    if device == "cuda" and precision == "int8":
        return OnnxVqaModel(file, device).run  # decoded to fp16, which is how it is used there
    return partial(session.run, [OUTPUT])


def _score(data: EncodedQuestions, labels: list[str], chosen: np.ndarray) -> Score | None:
    """Score the answers of index `chosen` `[questions]`; None without annotations."""
    if not can_be_scored(data.questions):
        return None
    return score(answers_of(data, labels, chosen.tolist()), data.questions)


def _check_accuracy(name: str, precision: str, lost: float, questions: int) -> None:
    tolerance = ACCURACY_TOLERANCE[precision] + 100 / questions
    if lost > tolerance:
        raise ModelError(
            f"{name} loses {lost:.2f} points of accuracy, the tolerance of {precision} is "
            f"{tolerance:.2f}"
        )
