"""Questions in the official VQA v2 format (https://visualqa.org/download.html).

OK-VQA has the same format (https://okvqa.allenai.org/download.html; its annotators' `answer` is
compared, not their `raw_answer`). VQA-CP v2 has bare lists of the same rows instead of objects
(https://computing.ece.vt.edu/~aish/vqacp; `coco_split` is not needed, since ids of COCO's pictures
are unique).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from sys import intern
from typing import Any

from lxcompress.data.questions.question import (
    Question,
    QuestionId,
    canonical_image_id,
    without_folders,
)
from lxcompress.data.questions.rows import (
    ID,
    VIZWIZ,
    Schema,
    check_human_answers,
    check_rows,
    check_unique,
    is_vizwiz,
    non_empty_list,
)
from lxcompress.errors import DataError
from lxcompress.system.files import read_json

_QUESTION: Schema = {"question_id": ID, "image_id": ID, "question": (str,)}
_ANNOTATION: Schema = {
    "question_id": ID,
    "image_id": ID,
    "question_type": (str,),
    "answer_type": (str,),
    "answers": (list,),
}


def official_questions(content: Any, questions: Path, annotations: Path | None) -> list[Question]:
    """The questions of official VQA v2 JSON, in the order of the questions file.

    `content` is that of the file `questions`. Without `annotations` (a test split) types and
    answers are None. Raises DataError when a file is missing, cut off or of another schema, an id
    occurs twice, or the two files do not belong together.
    """
    rows = _official_rows(content, questions, "questions", other="annotations")
    check_rows(rows, f"questions file {questions}", _QUESTION)
    check_unique((row["question_id"] for row in rows), f"questions file {questions}")
    if annotations is None:
        return [
            Question(row["question_id"], canonical_image_id(row["image_id"]), row["question"])
            for row in rows
        ]
    annotated = _read_annotations(annotations)
    _check_same_ids({row["question_id"] for row in rows}, annotated, questions, annotations)
    joined = []
    for row in rows:
        question_id, image_id = row["question_id"], canonical_image_id(row["image_id"])
        annotated_image, question_type, answer_type, answers = annotated[question_id]
        if image_id != annotated_image:
            advice = "give two files of the same split"
            if without_folders(image_id) == without_folders(annotated_image):
                advice = "an image id is the name of a file, so take the path off the ids"
            raise DataError(
                f"question {question_id!r} is about image {image_id} in {questions} but about "
                f"image {annotated_image} in {annotations}: {advice}"
            )
        text = row["question"]
        joined.append(Question(question_id, image_id, text, question_type, answer_type, answers))
    return joined


def _official_rows(data: Any, path: Path, key: str, other: str) -> list[Any]:
    where = f"{key} file {path}"
    if isinstance(data, list):
        if data and is_vizwiz(data[0]):
            raise DataError(f"{where}: {VIZWIZ}")
        if data and isinstance(data[0], dict) and "img_id" in data[0]:
            raise DataError(f"{where} looks like LXMERT's own JSON: give it as samples instead")
        return non_empty_list(data, where)
    if not isinstance(data, dict) or key not in data:
        swapped = isinstance(data, dict) and other in data
        hint = f"it holds '{other}', are the two swapped?" if swapped else "is it VQA v2 JSON?"
        raise DataError(f"{where} has no '{key}': {hint}")
    return non_empty_list(data[key], where)


def _only_the_answer(value: dict[str, Any]) -> Any:
    """Replace an annotator's answer by its text; return other objects unchanged.

    As a hook of the JSON parser this avoids 4.4 million objects in memory at once (1.5 GB on VQA
    v2's training split). Interned, the texts take next to none.
    """
    answer = value.get("answer")
    if type(answer) is str and "answers" not in value and "question_id" not in value:
        return intern(answer)
    return value


_Annotation = tuple[str, str, str, tuple[str, ...]]


def _read_annotations(path: Path) -> dict[QuestionId, _Annotation]:
    """{question id: (canonical image id, question type, answer type, answers)}."""
    where = f"annotations file {path}"
    content = read_json(path, "annotations file", object_hook=_only_the_answer)
    rows = _official_rows(content, path, "annotations", other="questions")
    check_rows(rows, where, _ANNOTATION)
    check_unique((row["question_id"] for row in rows), where)
    annotated: dict[QuestionId, _Annotation] = {}
    for row in rows:
        answers = tuple(row["answers"])
        check_human_answers(answers, where, row["question_id"])
        kinds = intern(row["question_type"]), intern(row["answer_type"])
        annotated[row["question_id"]] = (canonical_image_id(row["image_id"]), *kinds, answers)
    return annotated


def _check_same_ids(
    question_ids: set[QuestionId],
    annotated: Mapping[QuestionId, Any],
    questions: Path,
    annotations: Path,
) -> None:
    for lone, has, lacks in (
        (question_ids - annotated.keys(), questions, annotations),
        (annotated.keys() - question_ids, annotations, questions),
    ):
        if lone:
            advice = "give two files of the same split"
            if {str(one) for one in question_ids} == {str(one) for one in annotated}:
                advice = "they are numbers in one file and texts in the other, make them the same"
            raise DataError(
                f"{len(lone)} of the question ids in {has} are not in {lacks}, for example "
                f"{min(lone, key=str)!r}: {advice}"
            )
