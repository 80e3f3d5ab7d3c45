"""Questions in LXMERT's own format (`data/vqa/*.json` of github.com/airsplay/lxmert)."""

from __future__ import annotations

from pathlib import Path
from sys import intern
from typing import Any

from lxcompress.data.questions.question import Question, canonical_image_id
from lxcompress.data.questions.rows import (
    ID,
    Schema,
    check_all_or_none_answered,
    check_rows,
    check_unique,
    no_garbage_collection,
    non_empty_list,
)
from lxcompress.errors import DataError
from lxcompress.system.files import read_json

_SAMPLE: Schema = {"question_id": ID, "img_id": ID, "sent": (str,)}


@no_garbage_collection()
def read_lxmert(samples: Path | list[Path]) -> list[Question]:
    """Read one or more of LXMERT's own JSON files, in order.

    `scores` is None for a test split, whose rows have no `label`. Raises DataError when a file is
    missing, cut off or of another schema, an id occurs twice, or only some rows have a label.
    """
    paths = samples if isinstance(samples, list) else [samples]
    questions = [question for path in paths for question in _read_samples(path)]
    names = ", ".join(str(path) for path in paths)
    check_unique((question.question_id for question in questions), f"samples file {names}")
    check_all_or_none_answered(questions, f"samples file {names}", "label")
    return questions


def _read_samples(path: Path) -> list[Question]:
    where = f"samples file {path}"
    rows = read_json(path, "samples file")
    if isinstance(rows, dict):
        raise DataError(
            f"{where} is an object, not a list: if it is official VQA v2 JSON or GQA's, give it as "
            "questions (and annotations) instead"
        )
    rows = non_empty_list(rows, where)
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
