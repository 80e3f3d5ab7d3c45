"""Predicts the answers to a split's questions with a model, and scores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LxmertForQuestionAnswering

from lxcompress.data.batches import Batch, EncodedQuestions, evaluation_batches, model_inputs
from lxcompress.data.questions.question import QuestionId
from lxcompress.errors import ModelError
from lxcompress.evaluation.scoring import Score, score
from lxcompress.model.answer_head import labels_of
from lxcompress.system.machine.threads import set_torch_threads
from lxcompress.system.progress import progress

_BATCH_SIZE = 512

# From a batch to its logits, float32 [B, answers], in whatever runtime.
Forward = Callable[[Batch], NDArray[np.float32]]


def predict_logits(
    forward: Forward, data: EncodedQuestions, *, description: str, workers: int | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Run a model over all questions; yield each batch's rows in `data` `[B]` and its logits.

    Batches are of questions of similar length, so rows do not come in order. Nothing is kept, so
    that a caller may reduce logits that would not fit into memory (VQA v2: 2.7 GB).
    """
    with progress(description, len(data), "questions") as meter:
        for batch in evaluation_batches(data, batch_size(data), workers):
            rows = batch["rows"].numpy()
            yield rows, forward(batch)
            meter.advance(len(rows))


def predict_labels(
    forward: Forward,
    labels: Sequence[str],
    data: EncodedQuestions,
    *,
    description: str,
    workers: int | None = None,
) -> dict[QuestionId, str]:
    """The label of the highest logit for every question, by question id in the questions' order.

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    chosen = np.empty(len(data), np.int64)
    for rows, logits in predict_logits(forward, data, description=description, workers=workers):
        unusable = rows[~np.isfinite(logits).all(axis=1)]
        if len(unusable):
            raise ModelError(
                f"the logits of question {data.questions[unusable[0]].question_id} are NaN or "
                "infinite: the model's weights are damaged, or too large to compute with"
            )
        chosen[rows] = logits.argmax(axis=1)
    return answers_of(data, labels, chosen.tolist())


def answers_of(
    data: EncodedQuestions, labels: Sequence[str], chosen: Sequence[int]
) -> dict[QuestionId, str]:
    """The label of the index that was `chosen` for each question, by question id."""
    return {
        question.question_id: labels[index]
        for question, index in zip(data.questions, chosen, strict=True)
    }


def pytorch_forward(model: LxmertForQuestionAnswering, device: torch.device) -> Forward:
    """The model in PyTorch, moved to `device` and set to evaluation mode."""
    set_torch_threads(sum(parameter.numel() for parameter in model.parameters()))
    model.to(device).eval()

    @torch.inference_mode()
    def forward(batch: Batch) -> NDArray[np.float32]:
        logits = model(**model_inputs(batch, device)).question_answering_score
        found: NDArray[np.float32] = logits.cpu().numpy()
        return found

    return forward


def predict(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    device: torch.device,
    *,
    description: str = "Answering",
    workers: int | None = None,
) -> dict[QuestionId, str]:
    """The model's answer (its label of the highest logit) to every question, by question id.

    Computed in fp32, whatever the model was trained in, so that figures compare everywhere.
    """
    labels, forward = labels_of(model.config), pytorch_forward(model, device)
    return predict_labels(forward, labels, data, description=description, workers=workers)


def evaluate(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    device: torch.device,
    *,
    description: str = "Evaluating",
    workers: int | None = None,
) -> Score:
    """The model's accuracy, by the metric of the questions (`scoring.score`)."""
    predictions = predict(model, data, device, description=description, workers=workers)
    return score(predictions, data.questions)


def batch_size(data: EncodedQuestions) -> int:
    """Questions per batch: 512, or fewer where a picture's features are large (36 x 2048: 128)."""
    values = data.regions.max_regions * data.regions.feature_size
    return max(32, min(_BATCH_SIZE, (128 * 36 * 2048) // values))
