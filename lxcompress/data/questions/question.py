"""A question about a picture, and the canonical form of the picture's id."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from string import whitespace

QuestionId = int | str

# Endings of picture files that Pillow reads without a plugin.
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
)
_SUFFIXES = re.compile(
    rf"(?:{'|'.join(map(re.escape, sorted(PICTURE_SUFFIXES)))})+\Z", re.IGNORECASE
)
_AROUND = "\ufeff" + whitespace
# Twelve digits are COCO's file-name width. Shorter numbers after "_" stay part of the name, since
# "cats_001" and "dogs_001" are different pictures.
_NUMBERED = re.compile(r"(?:.*_(?=[0-9]{12}\Z))?([0-9]+)")


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one picture; None for what its file does not say.

    Its answers have one of three forms: `answers` are the human answers in file order, as written;
    `scores` is LXMERT's soft label, {answer: 0–1}, from LXMERT's own JSON only; `answer` is the
    single correct answer, from GQA's JSON only.
    """

    question_id: QuestionId
    image_id: str
    text: str
    question_type: str | None = None
    answer_type: str | None = None
    answers: tuple[str, ...] | None = None
    scores: dict[str, float] | None = None
    answer: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether its file has its answers, even if LXMERT's label of it is empty."""
        return not (self.answers is None and self.scores is None and self.answer is None)


def can_be_scored(questions: Iterable[Question]) -> bool:
    """Whether any of the questions has an answer that would be right."""
    return any(question.answers or question.scores or question.answer for question in questions)


def canonical_image_id(value: QuestionId) -> str:
    """The form of an image id in which questions, regions and picture files are matched.

    132417, "132417", "000000132417", "COCO_train2014_000000132417" and the same with the ending of
    a picture file (.jpg, .PNG, .webp, …) all give "132417". Other names ("n161313", "cats_001")
    only lose such an ending, spaces and byte order marks around them, and their Unicode form: NFC
    and NFD (as macOS writes file names) are one id.
    """
    if isinstance(value, int):
        return str(value)
    name = unicodedata.normalize("NFC", value).strip(_AROUND)
    while (shorter := _SUFFIXES.sub("", name).strip(_AROUND)) != name:
        name = shorter
    number = _NUMBERED.fullmatch(name)
    return (number[1].lstrip("0") or "0") if number else name


def without_folders(image_id: str) -> str:
    """The id of a picture whose path or address somebody gave as its id."""
    return canonical_image_id(re.split(r"[/\\]", image_id)[-1])
