"""The formats of a questions file, recognised by its content: VQA v2's, VizWiz's and GQA's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from lxcompress.data.questions.gqa import gqa_questions, is_gqa_file, keep_used_keys
from lxcompress.data.questions.official import official_questions
from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.data.questions.rows import is_vizwiz, no_garbage_collection
from lxcompress.data.questions.vizwiz import is_vizwiz_file, vizwiz_questions
from lxcompress.errors import DataError
from lxcompress.system.files import read_json


@no_garbage_collection()
def read_questions(questions: Path, annotations: Path | None) -> list[Question]:
    """Read the questions of a split, in the order of the questions file.

    `annotations` belong to official VQA v2 questions, OK-VQA's and VQA-CP's; without them (a test
    split) these have no answers. VizWiz and GQA have their answers in the questions file.

    Raises:
        DataError: a file is missing, cut off or of another schema, an id occurs twice, or the
            two files do not belong together.
    """
    content = read_json(questions, "questions file", object_hook=keep_used_keys)
    if is_vizwiz_file(content):
        _check_no_annotations("VizWiz", questions, annotations)
        return vizwiz_questions(content, questions)
    if is_gqa_file(content):
        _check_no_annotations("GQA", questions, annotations)
        return gqa_questions(content, questions)
    return official_questions(content, questions, annotations)


def _check_no_annotations(dataset: str, questions: Path, annotations: Path | None) -> None:
    if annotations is not None:
        raise DataError(
            f"{questions} is {dataset}'s JSON, which has its answers with the questions: "
            f"leave out the annotations {annotations}"
        )


def without_questions(content: Any, question_ids: Collection[QuestionId]) -> Any:
    """Return the JSON of questions, annotations or samples without the rows of some questions.

    `content` is that of a file that could be read; it may be changed.
    """
    if is_gqa_file(content):
        return {key: row for key, row in content.items() if key not in question_ids}

    def kept(rows: list[Any]) -> list[Any]:
        return [
            row
            for row in rows
            if row["image" if is_vizwiz(row) else "question_id"] not in question_ids
        ]

    if isinstance(content, list):
        return kept(content)
    for key in {"questions", "annotations"} & content.keys():
        content[key] = kept(content[key])
    return content
