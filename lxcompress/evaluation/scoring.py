"""VQA v2 accuracy as the official code computes it, LXMERT's soft score, GQA's accuracy.

Official code: GT-Vision-Lab/VQA, vqaEval.py and vqa.py, March 2021; for GQA its eval.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from lxcompress.data.questions.normalization import clean_answer, normalize_answer
from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.data.questions.rows import ID, Schema, check_rows, check_unique
from lxcompress.errors import DataError
from lxcompress.system.files import atomic_path, read_json

Metric = Literal["VQA v2 accuracy", "LXMERT soft score", "GQA accuracy"]
_Key = TypeVar("_Key")

# VQA v2's answer types, in the order in which papers print them.
ANSWER_TYPES = ("yes/no", "number", "other")
_DECIMALS = 2
_RESULT: Schema = {"question_id": ID, "answer": (str,)}


@dataclass(frozen=True, slots=True)
class Score:
    """The accuracy of a set of predictions, in percent and not rounded."""

    metric: Metric
    questions: int
    overall: float
    per_answer_type: dict[str, float]
    per_question_type: dict[str, float]
    per_question: dict[QuestionId, float] = field(repr=False)

    def accuracy(self) -> dict[str, float | None]:
        """The `accuracy` object of result.json; None for an answer type without questions."""
        by_type = {name: self.per_answer_type.get(name) for name in ANSWER_TYPES}
        return {"overall": self.overall, **by_type}

    def official(self) -> dict[str, Any]:
        """The official code's `accuracy`, rounded as there (two decimals)."""
        return {
            "overall": round(self.overall, _DECIMALS),
            "perAnswerType": _rounded(self.per_answer_type),
            "perQuestionType": _rounded(self.per_question_type),
        }

    def official_per_question(self) -> dict[QuestionId, float]:
        """The official code's `evalQA`, rounded as there (two decimals)."""
        return _rounded(self.per_question)


def _rounded(values: Mapping[_Key, float]) -> dict[_Key, float]:
    return {key: round(value, _DECIMALS) for key, value in values.items()}


def official_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """The official accuracy (0–1) of a prediction against a question's (ten) human answers.

    Per annotator min(1, equal answers among the other annotators / 3), averaged over annotators.
    Prediction and answers are normalised only if the answers are not all the same string.
    """
    unanimous, accuracies = _accuracies(tuple(answers))
    text = clean_answer(prediction)
    return accuracies.get(text if unanimous else normalize_answer(text), 0.0)


@lru_cache(maxsize=1 << 18)
def _accuracies(answers: tuple[str, ...]) -> tuple[bool, dict[str, float]]:
    """Whether all answers are the same string, and the accuracy of each (normalised) one."""
    texts = [clean_answer(answer) for answer in answers]
    unanimous = len(set(texts)) == 1
    if not unanimous:
        texts = [normalize_answer(text) for text in texts]
    return unanimous, {
        text: _leave_one_out(tuple([other == text for other in texts])) for text in set(texts)
    }


@lru_cache(maxsize=1 << 12)
def _leave_one_out(matches: tuple[bool, ...]) -> float:
    # Summed annotator by annotator as in the official code: the order decides the last bit of the
    # sum, and that bit decides how a figure that ends in 5 is rounded.
    agreeing = sum(matches)
    return sum([min(1.0, (agreeing - match) / 3) for match in matches]) / len(matches)


def soft_score(prediction: str, scores: Mapping[str, float]) -> float:
    """LXMERT's own score (0–1): the score of the predicted answer in the label, 0 if it has none.

    A prediction that is not a key of `scores` is looked up by its normalised form. LXMERT's answers
    are in that form, so this makes no difference for predictions from LXMERT's list; predictions
    from a list that was built from human answers can be scored too.
    """
    exact = scores.get(prediction)
    if exact is not None:
        return exact
    wanted = normalize_answer(prediction)
    return max((s for text, s in scores.items() if normalize_answer(text) == wanted), default=0.0)


def score(predictions: Mapping[QuestionId, str], questions: Sequence[Question]) -> Score:
    """Score `predictions` ({question id: answer}) on all of `questions`.

    The metric is that of the questions: VQA v2 accuracy for human answers, LXMERT's soft score for
    its labels, GQA's accuracy (1 for the same text, else 0) for single answers. Predictions for
    other questions are ignored. Raises DataError when there is no question, a prediction is
    missing, or the questions have no (or mixed) answers to score against.
    """
    metric = _metric(questions)
    _check_ids([q.question_id for q in questions if q.question_id not in predictions], "lacks")
    points: dict[QuestionId, float] = {}
    by_answer_type: defaultdict[str, list[float]] = defaultdict(list)
    by_question_type: defaultdict[str, list[float]] = defaultdict(list)
    for question in questions:
        value = _points(predictions[question.question_id], question)
        points[question.question_id] = value
        if question.answer_type is not None:
            by_answer_type[question.answer_type].append(value)
        if question.question_type is not None:
            by_question_type[question.question_type].append(value)
    return Score(
        metric=metric,
        questions=len(questions),
        overall=_percent(list(points.values())),
        per_answer_type={name: _percent(values) for name, values in by_answer_type.items()},
        per_question_type={name: _percent(values) for name, values in by_question_type.items()},
        per_question={question_id: 100 * value for question_id, value in points.items()},
    )


def _points(prediction: str, question: Question) -> float:
    """The points (0–1) of a prediction by the metric of the question."""
    if question.answers is not None:
        return official_accuracy(prediction, question.answers)
    if question.scores is not None:
        return soft_score(prediction, question.scores)
    return float(prediction == question.answer)


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values)


def _metric(questions: Sequence[Question]) -> Metric:
    if not questions:
        raise DataError("no questions to score: give a split that has at least one")
    bare = [question for question in questions if not question.is_answered]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(questions)} questions have no answers to score against, for "
            f"example {bare[0].question_id!r}: give annotations, or a split that has them"
        )
    metric, *others = sorted({_metric_of(question) for question in questions})
    if others:
        raise DataError(
            f"some questions are scored by {metric}, some by {others[0]}: "
            "score the two sets separately"
        )
    return metric


def _metric_of(question: Question) -> Metric:
    if question.answers is not None:
        return "VQA v2 accuracy"
    return "LXMERT soft score" if question.scores is not None else "GQA accuracy"


def read_results(path: Path) -> dict[QuestionId, str]:
    """Read an official result file, `[{"question_id": 1, "answer": "yes"}, …]`.

    Raises DataError when it is missing, cut off or of another schema, or an id occurs twice.
    """
    rows = read_json(path, "result file")
    where = f"result file {path}"
    if not isinstance(rows, list):
        raise DataError(f'{where} is not a list: expected [{{"question_id": …, "answer": …}}, …]')
    check_rows(rows, where, _RESULT)
    check_unique((row["question_id"] for row in rows), where)
    return {row["question_id"]: row["answer"] for row in rows}


def write_results(path: Path, predictions: Mapping[QuestionId, str]) -> None:
    """Write an official result file, whole or not at all; the EvalAI server accepts it."""
    rows = [{"question_id": key, "answer": answer} for key, answer in predictions.items()]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows) + "\n", encoding="utf-8")


def score_results(results: Mapping[QuestionId, str], questions: Sequence[Question]) -> Score:
    """Score a result file's content; its ids must be exactly those of `questions`.

    Raises DataError for missing or unknown ids (the official code rejects both) and as `score`.
    """
    known = {question.question_id for question in questions}
    _check_ids([question_id for question_id in results if question_id not in known], "adds")
    return score(results, questions)


def _check_ids(wrong: Sequence[QuestionId], how: Literal["lacks", "adds"]) -> None:
    if not wrong:
        return
    if how == "lacks":
        problem = f"{len(wrong)} questions have no prediction"
    else:
        problem = f"{len(wrong)} predictions are for questions that are not in the annotations"
    raise DataError(
        f"{problem}, for example question id {wrong[0]!r} ({type(wrong[0]).__name__}): "
        "give one prediction per question of the same split"
    )
