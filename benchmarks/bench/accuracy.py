"""Accuracy of all systems on the same questions, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench.inputs import BenchInputs
from benchmarks.bench.schema import (
    Accuracies,
    Accuracy,
    Agreement,
    Comparison,
    Isolates,
    Model,
    Paired,
    System,
)
from benchmarks.bench.systems import EAGER, pairs
from benchmarks.measure.statistics import (
    RESAMPLES,
    bootstrap_mean,
    mcnemar,
    paired_bootstrap,
)
from exporters.runtime import OnnxVqaModel
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.evaluation.predict import predict, predict_labels
from lxcompress.evaluation.scoring import ANSWER_TYPES, Score, score
from lxcompress.run import CONTROL_STAGE, Run
from lxcompress.system.progress import progress

OVERALL = "overall"
_SEED = 0

Answers = dict[QuestionId, str]


def answers_in_pytorch(inputs: BenchInputs, model: Model, device: str) -> Answers:
    """The fp32 model's answer to every question, by question id."""
    description = f"Answering, PyTorch {model}"
    loaded = inputs.load(model)
    return predict(loaded, inputs.data, torch.device(device), description=description)


def answers_in_onnx(path: Path, data: EncodedQuestions, device: str, threads: int) -> Answers:
    """An exported file's answer to every question, by question id."""
    model = OnnxVqaModel(path, device, threads=threads)
    return predict_labels(
        lambda batch: model.logits(model_arrays(batch)),
        model.labels,
        data,
        description=f"Answering, {path.name}",
    )


def answers_of_control(run: Run) -> Path | None:
    """The file of the dense control's answers; None without a control, or if it is gone."""
    result = run.read_result()
    control = result.dense_control
    if control is None:
        return None
    if control.epochs == result.dense.epochs:  # with late rewinding, the dense model itself
        return run.predictions("dense")
    stages = run.predictions("").parent.glob(f"{CONTROL_STAGE}*.json")
    return max(stages, key=lambda path: int(path.stem.removeprefix(CONTROL_STAGE)), default=None)


def agree(answers: Mapping[System, Answers]) -> Agreement:
    """How often each system gives the answer of PyTorch's dense fp32, one of `answers`."""
    reference = System.of(EAGER, "dense", "fp32")
    expected = answers[reference]
    return Agreement(
        against=reference.name,
        questions=len(expected),
        same_answers={
            system.name: sum(found[question] == answer for question, answer in expected.items())
            / len(expected)
            for system, found in answers.items()
        },
    )


def compare(
    answers: Mapping[System, Answers], questions: Sequence[Question], split: str
) -> Accuracies:
    """Accuracies and paired comparisons of all systems' answers to the `questions` of a split.

    Raises:
        DataError: The questions have no annotated answers.
    """
    scores = {system: score(given, questions) for system, given in answers.items()}
    grades = {system: _grades(scored, questions) for system, scored in scores.items()}
    rows = _rows_by_type(questions)
    pictures = {
        answer_type: [questions[row].image_id for row in chosen]
        for answer_type, chosen in rows.items()
    }

    def comparison(of: System, against: System, isolates: Isolates) -> Comparison:
        same = [answers[of][q.question_id] == answers[against][q.question_id] for q in questions]
        return Comparison(
            of=of.name,
            against=against.name,
            isolates=isolates,
            same_answers=sum(same) / len(same),
            by_type={
                answer_type: _paired(
                    grades[of][chosen], grades[against][chosen], pictures[answer_type]
                )
                for answer_type, chosen in rows.items()
            },
        )

    compared = list(pairs(answers))
    comparisons = []
    with progress("Comparing answers", len(compared), "pairs") as meter:
        for pair in compared:
            comparisons.append(comparison(*pair))
            meter.advance()
    return Accuracies(
        metric=next(iter(scores.values())).metric,
        split=split,
        questions=len(questions),
        seed=_SEED,
        resamples=RESAMPLES,
        systems=[
            Accuracy(
                system=system,
                accuracy={
                    answer_type: (
                        bootstrap_mean(
                            100 * grades[system][chosen], pictures[answer_type], seed=_SEED
                        )
                        if len(chosen)
                        else None
                    )
                    for answer_type, chosen in rows.items()
                },
            )
            for system in answers
        ],
        comparisons=comparisons,
    )


def _rows_by_type(questions: Sequence[Question]) -> dict[str, np.ndarray]:
    types = np.array([question.answer_type or "" for question in questions])
    by_type = {answer_type: np.flatnonzero(types == answer_type) for answer_type in ANSWER_TYPES}
    return {OVERALL: np.arange(len(questions)), **by_type}


def _grades(scored: Score, questions: Sequence[Question]) -> np.ndarray:
    """0–1 for each question, float64 `[N]`, in the order of `questions`."""
    percents = [scored.per_question[question.question_id] for question in questions]
    # From percent back to the exact grade: 0.6 must equal 0.6, however it was computed.
    return np.round(np.array(percents) / 100, 9)


def _paired(of: np.ndarray, against: np.ndarray, pictures: Sequence[str]) -> Paired | None:
    if not len(of):
        return None
    return Paired(
        questions=len(of),
        difference=paired_bootstrap(100 * of, 100 * against, pictures, seed=_SEED),
        mcnemar=mcnemar(of, against, pictures),
    )
