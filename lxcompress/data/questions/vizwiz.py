"""Questions in VizWiz-VQA's format (https://vizwiz.org/tasks-and-datasets/vqa/).

A list of {image, question, answers, answer_type, answerable}, without `answers` in the test split.
There is one question to a picture, and it has no id: the name of the picture is its id, as in
VizWiz's own result files. "unanswerable" and "unsuitable image" are answers like any other.
"""

from __future__ import annotations

from pathlib import Path
from sys import intern
from typing import Any

from lxcompress.data.questions.question import Question, canonical_image_id
from lxcompress.data.questions.rows import (
    Schema,
    check_all_or_none_answered,
    check_human_answers,
    check_rows,
    check_unique,
    is_vizwiz,
)

_QUESTION: Schema = {"image": (str,), "question": (str,)}
_ANSWERS: Schema = {"answers": (list,), "answer_type": (str,)}


def is_vizwiz_file(content: Any) -> bool:
    """Whether the content of a JSON file is VizWiz's, by its first row."""
    return isinstance(content, list) and bool(content) and is_vizwiz(content[0])


def vizwiz_questions(rows: list[Any], path: Path) -> list[Question]:
    """The questions of VizWiz's JSON, the `rows` of the file `path`, in its order.

    Raises DataError when a row is of another schema, a picture occurs twice, or only some
    questions have answers.
    """
    where = f"questions file {path}"
    check_rows(rows, where, _QUESTION)
    questions = [_question(row, where) for row in rows]
    check_unique((question.question_id for question in questions), where)
    check_all_or_none_answered(questions, where, "answers")
    return questions


def _question(row: dict[str, Any], where: str) -> Question:
    name, text = row["image"], row["question"]
    if "answers" not in row:
        return Question(name, canonical_image_id(name), text)
    check_rows([{"question_id": name, **row}], where, _ANSWERS)
    answers: list[Any] = [
        one.get("answer") if isinstance(one, dict) else None for one in row["answers"]
    ]
    check_human_answers(answers, where, name)
    return Question(
        name,
        canonical_image_id(name),
        text,
        answer_type=intern(row["answer_type"]),
        answers=tuple(map(intern, answers)),
    )
