"""Answering a split's questions with a model, and scoring the answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LxmertForQuestionAnswering

from lxcompress.data.batches import EncodedQuestions, evaluation_batches, model_inputs
from lxcompress.data.questions.questions import QuestionId
from lxcompress.evaluation.scoring import Score, score
from lxcompress.model.answer_head import labels_of
from lxcompress.system.progress import progress

_BATCH_SIZE = 512


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
    labels = labels_of(model.config)
    model.to(device).eval()
    chosen = torch.empty(len(data), dtype=torch.int64)
    with progress(description, len(data), "questions") as meter, torch.inference_mode():
        for batch in evaluation_batches(data, batch_size(data), workers):
            logits = model(**model_inputs(batch, device)).question_answering_score
            chosen[batch["rows"]] = logits.argmax(dim=1).cpu()
            meter.advance(len(batch["rows"]))
    return answers_of(data, labels, chosen.tolist())


def answers_of(
    data: EncodedQuestions, labels: Sequence[str], chosen: Sequence[int]
) -> dict[QuestionId, str]:
    """The label of the index that was `chosen` for each question, by question id."""
    return {
        question.question_id: labels[index]
        for question, index in zip(data.questions, chosen, strict=True)
    }


def evaluate(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    device: torch.device,
    *,
    description: str = "Evaluating",
    workers: int | None = None,
) -> Score:
    """Official VQA v2 accuracy where the split has ten answers a question, else LXMERT's score."""
    predictions = predict(model, data, device, description=description, workers=workers)
    return score(predictions, data.questions)


def batch_size(data: EncodedQuestions) -> int:
    """Fewer pictures at once where their features are large (36 x 2048: 128)."""
    values = data.regions.max_regions * data.regions.feature_size
    return max(32, min(_BATCH_SIZE, (128 * 36 * 2048) // values))
