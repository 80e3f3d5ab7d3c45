"""The rows of a JSON file of questions, annotations or results, and checks of their schema."""

from __future__ import annotations

import gc
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.errors import DataError

# The keys that every row must have, with the types that their values may have.
Schema = Mapping[str, tuple[type, ...]]
ID = (int, str)

VIZWIZ = "it looks like VizWiz's JSON: give it as questions, without annotations"

# Under leave-one-out an answer scores min(1, matches among the others / 3), so that with fewer
# than four answers to a question nothing could ever score 100%.
_FEWEST_ANSWERS = 4


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector; also as a decorator, for a whole function.

    Reading makes millions of objects and no garbage, and looking for some takes three times as
    long as the reading itself.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def non_empty_list(rows: Any, where: str) -> list[Any]:
    """Return `rows`; DataError unless they are a list with at least one entry."""
    if not isinstance(rows, list):
        raise DataError(f"{where}: expected a list of objects, found {_kind(rows)}")
    if not rows:
        raise DataError(f"{where} is empty: give a file with at least one question")
    return rows


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
            return f"{name} has no '{key}' ({expected}): {_explain_absence(row, key)}"
        if type(row[key]) not in kinds:
            return f"{name} has {_kind(row[key])} as '{key}', expected {expected}"
    raise AssertionError("called for a row that fits")


def is_vizwiz(row: Any) -> bool:
    """Whether a row is one of VizWiz's, which have no ids."""
    return isinstance(row, dict) and "image" in row and "question_id" not in row


def _explain_absence(row: dict[str, Any], key: str) -> str:
    """What a row without `key` seems to be, by the other keys that it has."""
    if key == "answers" and "answer" in row:
        return "it has a single 'answer': repeat it, with 'answers' as ten times {\"answer\": …}"
    if is_vizwiz(row):
        return VIZWIZ
    if key == "question_type":
        return "give every annotation one, for instance the first words of the question"
    return "is it a file of this kind?"


def _kind(value: Any) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"


def check_human_answers(answers: Sequence[Any], where: str, question_id: QuestionId) -> None:
    """Raise DataError unless the answers to a question are texts, and enough for VQA accuracy."""
    if set(map(type, answers)) - {str}:
        raise DataError(
            f"{where}: question {question_id!r} has an answer that is not an object "
            "with a text 'answer': use the official annotations or repair that entry"
        )
    if len(answers) < _FEWEST_ANSWERS:
        raise DataError(
            f"{where}: question {question_id!r} has {len(answers)} answers, VQA "
            f"accuracy needs at least {_FEWEST_ANSWERS} (officially ten): repeat a single one"
        )


def check_all_or_none_answered(questions: Sequence[Question], where: str, key: str) -> None:
    """Raise DataError when only some of the rows have answers, which `key` holds."""
    without = [question.question_id for question in questions if not question.is_answered]
    if 0 < len(without) < len(questions):
        raise DataError(
            f"{where}: {len(without)} of {len(questions)} questions have no '{key}', for example "
            f"{without[0]!r}: give all of them one, or none"
        )


def check_unique(ids: Iterable[QuestionId], where: str) -> None:
    """Raise DataError when a question id occurs more than once."""
    counts = Counter(ids)
    twice = [question_id for question_id, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"{where}: {len(twice)} question ids occur more than once, for example {twice[0]!r}: "
            "keep one row for each question"
        )
