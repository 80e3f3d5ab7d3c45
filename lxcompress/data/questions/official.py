"""Questions in the official VQA v2 format (https://visualqa.org/download.html)."""

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
    check_rows,
    check_unique,
    is_vizwiz,
    no_garbage_collection,
    non_empty_list,
)
from lxcompress.errors import DataError
from lxcompress.system.files import read_json

# Under leave-one-out an answer scores min(1, matches among the others / 3), so that with fewer
# than four answers to a question nothing could ever score 100%.
_FEWEST_ANSWERS = 4

_QUESTION: Schema = {"question_id": ID, "image_id": ID, "question": (str,)}
_ANNOTATION: Schema = {
    "question_id": ID,
    "image_id": ID,
    "question_type": (str,),
    "answer_type": (str,),
    "answers": (list,),
}


@no_garbage_collection()
def read_official(questions: Path, annotations: Path | None) -> list[Question]:
    """Read official VQA v2 JSON, in the order of the questions file.

    Without `annotations` (a test split) types and answers are None. Raises DataError when a file
    is missing, cut off or of another schema, an id occurs twice, or the two files do not belong
    together.
    """
    rows = _official_rows(questions, "questions", other="annotations")
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


def _official_rows(path: Path, key: str, other: str) -> list[Any]:
    where = f"{key} file {path}"
    hook = _only_the_answer if key == "annotations" else None
    data = read_json(path, f"{key} file", object_hook=hook)
    if isinstance(data, list):
        kind = "if it is LXMERT's own JSON, give it as samples instead"
        raise DataError(
            f"{where} is a list, not an object with '{key}': "
            f"{VIZWIZ if data and is_vizwiz(data[0]) else kind}"
        )
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
    rows = _official_rows(path, "annotations", other="questions")
    check_rows(rows, where, _ANNOTATION)
    check_unique((row["question_id"] for row in rows), where)
    annotated: dict[QuestionId, _Annotation] = {}
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
