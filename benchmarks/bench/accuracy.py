"""How well the dense model and the ticket answer the same questions, and whether they differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.bench.latency import EAGER, ONNX, System
from benchmarks.bench.schema import Isolates
from benchmarks.measure import statistics
from exporters.runtime import OnnxVqaModel
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.evaluation.predict import predict, predict_labels
from lxcompress.evaluation.scoring import ANSWER_TYPES, Score, score
from lxcompress.model.lxmert import load_model
from lxcompress.system.progress import progress

OVERALL = "overall"
KINDS = (OVERALL, *ANSWER_TYPES)
_SEED = 0

Answers = dict[QuestionId, str]


def answers_in_pytorch(folder: Path, data: EncodedQuestions, device: str) -> Answers:
    """The fp32 model's answer to every question, by question id."""
    name = f"Answering, PyTorch {folder.name}"
    return predict(load_model(folder), data, torch.device(device), description=name)


def answers_in_onnx(path: Path, data: EncodedQuestions, device: str, threads: int) -> Answers:
    """An exported file's answer to every question, by question id."""
    model = OnnxVqaModel(path, device, threads=threads)
    return predict_labels(
        lambda batch: model.logits(model_arrays(batch)),
        model.labels,
        data,
        description=f"Answering, {path.name}",
    )


def compare(
    answers: Mapping[System, Answers], questions: Sequence[Question], split: str
) -> dict[str, Any]:
    """The report's `accuracy` (`bench_schema.Accuracies`).

    Raises DataError where the questions have no answers to score against.
    """
    scores = {system: score(given, questions) for system, given in answers.items()}
    rows = _rows_by_type(questions)
    points = {system: _points(scored, questions) for system, scored in scores.items()}
    comparisons = []
    with progress("Comparing answers", len(list(pairs(answers))), "pairs") as meter:
        for of, against, isolates in pairs(answers):
            same = [
                answers[of][q.question_id] == answers[against][q.question_id] for q in questions
            ]
            comparisons.append(
                {
                    "of": of.name,
                    "against": against.name,
                    "isolates": isolates,
                    "same_answers": sum(same) / len(same),
                    "by_type": {
                        kind: _paired(points[of][chosen], points[against][chosen])
                        for kind, chosen in rows.items()
                    },
                }
            )
            meter.advance()
    return {
        "metric": next(iter(scores.values())).metric,
        "split": split,
        "questions": len(questions),
        "seed": _SEED,
        "resamples": statistics.RESAMPLES,
        "systems": [
            {
                "system": system.record(),
                "accuracy": {
                    kind: _mean(points[system][chosen]) if len(chosen) else None
                    for kind, chosen in rows.items()
                },
            }
            for system in answers
        ],
        "comparisons": comparisons,
    }


def pairs(systems: Collection[System]) -> Iterator[tuple[System, System, Isolates]]:
    """What to compare with what, and what the two differ in.

    A ticket with the dense model in its runtime and precision; ONNX files with dense fp32 too.
    """
    known = set(systems)
    for of in (system for system in systems if system.runtime in (EAGER, ONNX)):
        dense, full = replace(of, model="dense"), System(of.runtime, "dense", "fp32")
        if of.model == "ticket" and dense in known:
            yield of, dense, "sparsity"
        if of.precision != "fp32" and full in known:
            yield of, full, "precision" if of.model == "dense" else "both"


def _rows_by_type(questions: Sequence[Question]) -> dict[str, np.ndarray]:
    kinds = np.array([question.answer_type or "" for question in questions])
    by_type = {kind: np.flatnonzero(kinds == kind) for kind in ANSWER_TYPES}
    return {OVERALL: np.arange(len(questions)), **by_type}


def _points(scored: Score, questions: Sequence[Question]) -> np.ndarray:
    """0–1 for each question, in their order."""
    found = [scored.per_question[question.question_id] for question in questions]
    # From percent back to the exact grade: 0.6 must equal 0.6, whoever computed it.
    return np.round(np.array(found) / 100, 9)


def _mean(points: np.ndarray) -> dict[str, float]:
    return asdict(statistics.bootstrap_mean(100 * points, seed=_SEED))


def _paired(of: np.ndarray, against: np.ndarray) -> dict[str, Any] | None:
    if not len(of):
        return None
    difference = np.round(100 * of - 100 * against, 7)  # few distinct values, see statistics
    return {
        "questions": len(of),
        "difference": asdict(statistics.bootstrap_mean(difference, seed=_SEED)),
        "mcnemar": asdict(statistics.mcnemar(of, against)),
    }
