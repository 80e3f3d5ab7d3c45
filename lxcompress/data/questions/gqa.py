"""Questions in GQA's format (https://cs.stanford.edu/people/dorarad/gqa/download.html).

An object {question id: {imageId, question, answer, types, …}}, without `answer` and `types` in the
test splits. There is one correct answer to a question.
"""

from __future__ import annotations

from pathlib import Path
from sys import intern
from typing import Any

from lxcompress.data.questions.question import Question, canonical_image_id
from lxcompress.data.questions.rows import ID, Schema, check_all_or_none_answered, check_rows
from lxcompress.errors import DataError

_USED = ("imageId", "question", "answer", "types")
_QUESTION: Schema = {"imageId": ID, "question": (str,)}
_OPEN = "query"  # the structural type of questions without a choice of answers (eval.py)


def is_gqa_file(content: Any) -> bool:
    """Whether the content of a JSON file is GQA's: an object of rows with an `imageId`."""
    return isinstance(content, dict) and any(
        isinstance(row, dict) and "imageId" in row for row in content.values()
    )


def keep_used_keys(value: dict[str, Any]) -> dict[str, Any]:
    """Return a row of GQA with the keys that are read only; return other objects unchanged.

    As a hook of the JSON parser this keeps the programs and scene graphs of a million questions
    out of memory.
    """
    if "imageId" not in value:
        return value
    return {key: value[key] for key in _USED if key in value}


def gqa_questions(content: dict[str, Any], path: Path) -> list[Question]:
    """The questions of GQA's JSON, `content` of the file `path`, in its order.

    The question type is the structural type (verify, query, choose, logical, compare), the answer
    type "open" or "binary", as in GQA's evaluation. Raises DataError when a row is of another
    schema, or only some questions have answers.
    """
    where = f"questions file {path}"
    for question_id, row in content.items():
        if isinstance(row, dict):
            row["question_id"] = question_id  # named in messages
    check_rows(list(content.values()), where, _QUESTION)
    questions = [_question(row, where) for row in content.values()]
    check_all_or_none_answered(questions, where, "answer")
    return questions


def _question(row: dict[str, Any], where: str) -> Question:
    question_id, answer = row["question_id"], row.get("answer")
    if answer is not None and not isinstance(answer, str):
        raise DataError(
            f"{where}: question {question_id!r} has an 'answer' that is not a text: "
            "use GQA's files or repair that entry"
        )
    types = row.get("types")
    structural = types.get("structural") if isinstance(types, dict) else None
    if structural is not None and not isinstance(structural, str):
        raise DataError(f"{where}: question {question_id!r} has a type that is not text")
    return Question(
        question_id,
        canonical_image_id(row["imageId"]),
        row["question"],
        question_type=structural and intern(structural),
        answer_type=structural and ("open" if structural == _OPEN else "binary"),
        answer=answer and intern(answer),
    )
