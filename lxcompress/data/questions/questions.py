"""Questions and their human answers, from official VQA v2 JSON or from LXMERT's own JSON.

Official format: https://visualqa.org/download.html. LXMERT's: `data/vqa/*.json` of airsplay/lxmert.
"""

from __future__ import annotations

import gc
import json
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from lxcompress.errors import DataError
from lxcompress.system.files import read_json

QuestionId = int | str

# Under leave-one-out an answer scores min(1, matches among the others / 3), so that with fewer
# than four answers to a question nothing could ever score 100%.
_FEWEST_ANSWERS = 4

_EXTENSION = re.compile(r"\.(?:jpe?g|png)\Z", re.IGNORECASE)
# Twelve digits are COCO's file-name width. Shorter numbers after "_" stay part of the name, since
# "cats_001" and "dogs_001" are different pictures.
_NUMBERED = re.compile(r"(?:.*_(?=[0-9]{12}\Z))?([0-9]+)")

Schema = Mapping[str, tuple[type, ...]]
ID = (int, str)
_QUESTION: Schema = {"question_id": ID, "image_id": ID, "question": (str,)}
_ANNOTATION: Schema = {
    "question_id": ID,
    "image_id": ID,
    "question_type": (str,),
    "answer_type": (str,),
    "answers": (list,),
}
_SAMPLE: Schema = {"question_id": ID, "img_id": ID, "sent": (str,)}


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one picture; what a file does not say is None.

    `answers` are the human answers in file order, as written. `scores` is LXMERT's soft label,
    {answer: 0–1}, from LXMERT's own JSON only.
    """

    question_id: QuestionId
    image_id: str
    text: str
    question_type: str | None = None
    answer_type: str | None = None
    answers: tuple[str, ...] | None = None
    scores: dict[str, float] | None = None


def canonical_image_id(value: QuestionId) -> str:
    """The one spelling of an image id that is used everywhere.

    132417, "132417", "000000132417", "COCO_train2014_000000132417" and the same with .jpg or .png
    all give "132417". Other names ("n161313", "cats_001") only lose such an extension.
    """
    if isinstance(value, int):
        return str(value)
    name = _EXTENSION.sub("", value)
    number = _NUMBERED.fullmatch(name)
    return (number[1].lstrip("0") or "0") if number else name


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # Millions of new objects and no garbage: the collector's visits take three times as long as
    # the reading itself. As a decorator this covers a whole function.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_garbage_collection()
def read_official(questions: Path, annotations: Path | None) -> list[Question]:
    """Read official VQA v2 JSON, in the order of the questions file.

    Without `annotations` (a test split) types and answers are None. Raises DataError when a file
    is missing, cut off or of another schema, an id comes twice, or the two files do not belong
    together.
    """
    asked = _official_rows(questions, "questions", other="annotations")
    check_rows(asked, f"questions file {questions}", _QUESTION)
    check_unique((row["question_id"] for row in asked), f"questions file {questions}")
    if annotations is None:
        return [
            Question(row["question_id"], canonical_image_id(row["image_id"]), row["question"])
            for row in asked
        ]
    answered = _read_annotations(annotations)
    _check_same_ids({row["question_id"] for row in asked}, answered, questions, annotations)
    joined = []
    for row in asked:
        question_id, image_id = row["question_id"], canonical_image_id(row["image_id"])
        annotated_image, question_type, answer_type, answers = answered[question_id]
        if image_id != annotated_image:
            raise DataError(
                f"question {question_id!r} is about image {image_id} in {questions} but about "
                f"image {annotated_image} in {annotations}: give two files of the same split"
            )
        text = row["question"]
        joined.append(Question(question_id, image_id, text, question_type, answer_type, answers))
    return joined


@_no_garbage_collection()
def read_lxmert(samples: Path | list[Path]) -> list[Question]:
    """Read one or more of LXMERT's own JSON files, in order.

    `scores` is None for a test split, whose rows have no `label`. Raises DataError when a file is
    missing, cut off or of another schema, an id comes twice, or only some rows have a label.
    """
    paths = samples if isinstance(samples, list) else [samples]
    questions = [question for path in paths for question in _read_samples(path)]
    names = ", ".join(str(path) for path in paths)
    check_unique((question.question_id for question in questions), f"samples file {names}")
    unlabelled = [question for question in questions if question.scores is None]
    if 0 < len(unlabelled) < len(questions):
        raise DataError(
            f"samples file {names}: {len(unlabelled)} of {len(questions)} questions have no "
            f"'label', for example {unlabelled[0].question_id!r}: label all or none"
        )
    return questions


def _official_rows(path: Path, key: str, other: str) -> list[Any]:
    where = f"{key} file {path}"
    data = _load(path, f"{key} file", _only_the_answer if key == "annotations" else None)
    if isinstance(data, list):
        raise DataError(
            f"{where} is a list, not an object with '{key}': if it is LXMERT's own JSON, give it "
            "as samples instead"
        )
    if not isinstance(data, dict) or key not in data:
        swapped = isinstance(data, dict) and other in data
        hint = f"it holds '{other}', are the two swapped?" if swapped else "is it VQA v2 JSON?"
        raise DataError(f"{where} has no '{key}': {hint}")
    return _non_empty_list(data[key], where)


def _load(path: Path, what: str, hook: Callable[[dict[str, Any]], Any] | None) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), object_hook=hook)
    except (OSError, ValueError):
        return read_json(path, what)  # fails likewise, and says why


def _only_the_answer(value: dict[str, Any]) -> Any:
    """One person's answer as its text, without confidence and number; other objects unchanged.

    Done while parsing, this keeps 4.4 million objects (1.5 GB on VQA v2's training split) from
    ever existing together. Interned, the texts cost next to nothing.
    """
    answer = value.get("answer")
    return intern(answer) if type(answer) is str and "answers" not in value else value


def _non_empty_list(rows: Any, where: str) -> list[Any]:
    if not isinstance(rows, list):
        raise DataError(f"{where}: expected a list of objects, found {_kind(rows)}")
    if not rows:
        raise DataError(f"{where} is empty: give a file with at least one question")
    return rows


_Answered = tuple[str, str, str, tuple[str, ...]]


def _read_annotations(path: Path) -> dict[QuestionId, _Answered]:
    """{question id: (canonical image id, question type, answer type, answers)}."""
    where = f"annotations file {path}"
    rows = _official_rows(path, "annotations", other="questions")
    check_rows(rows, where, _ANNOTATION)
    check_unique((row["question_id"] for row in rows), where)
    answered: dict[QuestionId, _Answered] = {}
    for row in rows:
        answers = tuple(row["answers"])
        if set(map(type, answers)) - {str}:
            raise DataError(
                f"{where}: question {row['question_id']!r} has an answer that is not an object "
                "with a text 'answer': use the official annotations or repair that entry"
            )
        if len(answers) < _FEWEST_ANSWERS:
            raise DataError(
                f"{where}: question {row['question_id']!r} has {len(answers)} answers, VQA "
                f"accuracy needs at least {_FEWEST_ANSWERS} (officially ten): repeat a single one"
            )
        kinds = intern(row["question_type"]), intern(row["answer_type"])
        answered[row["question_id"]] = (canonical_image_id(row["image_id"]), *kinds, answers)
    return answered


def _read_samples(path: Path) -> list[Question]:
    where = f"samples file {path}"
    rows = read_json(path, "samples file")
    if isinstance(rows, dict):
        raise DataError(
            f"{where} is an object, not a list: if it is official VQA v2 JSON, give it as "
            "questions and annotations instead"
        )
    rows = _non_empty_list(rows, where)
    check_rows(rows, where, _SAMPLE)
    questions = []
    for row in rows:
        question_id, label = row["question_id"], row.get("label")
        kinds = row.get("question_type"), row.get("answer_type")
        if any(kind is not None and not isinstance(kind, str) for kind in kinds):
            raise DataError(f"{where}: question {question_id!r} has a type that is not text")
        if label is not None and not _is_label(label):
            raise DataError(
                f"{where}: question {question_id!r} has a 'label' that is not "
                "{answer: score from 0 to 1}: use LXMERT's files or repair that entry"
            )
        scores = None if label is None else {intern(a): float(s) for a, s in label.items()}
        image_id = canonical_image_id(row["img_id"])
        questions.append(Question(question_id, image_id, row["sent"], *kinds, scores=scores))
    return questions


def _is_label(label: Any) -> bool:
    return isinstance(label, dict) and all(
        type(score) in (int, float) and 0 <= score <= 1 for score in label.values()
    )


def check_rows(rows: Sequence[Any], where: str, schema: Schema) -> None:
    """Raise DataError unless every row is an object with the schema's keys, of its types."""
    fields = tuple(schema.items())
    for number, row in enumerate(rows):
        try:
            # type() and not isinstance(): True is no question id.
            for key, kinds in fields:
                if type(row[key]) not in kinds:
                    raise TypeError
        except (KeyError, TypeError, IndexError):
            raise DataError(f"{where}: {_row_problem(row, number, schema)}") from None


def _row_problem(row: Any, number: int, schema: Schema) -> str:
    if not isinstance(row, dict):
        return f"entry {number} is {_kind(row)}, expected an object with {', '.join(schema)}"
    has_id = type(row.get("question_id")) in ID
    name = f"question {reprlib.repr(row['question_id'])}" if has_id else f"entry {number}"
    for key, kinds in schema.items():
        expected = " or ".join(kind.__name__ for kind in kinds)
        if key not in row:
            return f"{name} has no '{key}' ({expected}): is it a file of this kind?"
        if type(row[key]) not in kinds:
            return f"{name} has {_kind(row[key])} as '{key}', expected {expected}"
    raise AssertionError("called for a row that fits")


def _kind(value: Any) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"


def check_unique(ids: Iterable[QuestionId], where: str) -> None:
    """Raise DataError when a question id comes more than once."""
    counts = Counter(ids)
    twice = [question_id for question_id, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"{where}: {len(twice)} question ids come more than once, for example {twice[0]!r}: "
            "give each question once"
        )


def _check_same_ids(
    asked: set[QuestionId], answered: Mapping[QuestionId, Any], questions: Path, annotations: Path
) -> None:
    for lone, has, lacks in (
        (asked - answered.keys(), questions, annotations),
        (answered.keys() - asked, annotations, questions),
    ):
        if lone:
            raise DataError(
                f"{len(lone)} of the question ids in {has} are not in {lacks}, for example "
                f"{min(lone, key=str)!r}: give two files of the same split"
            )
