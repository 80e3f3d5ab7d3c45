"""Answer lists: a user's file, or the lists of LXMERT's fine-tuned models, which are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxcompress.errors import DataError, ModelError
from lxcompress.system.files import read_json

_ASSETS = Path(__file__).parents[1] / "assets" / "answers"
SHIPPED = {name: _ASSETS / f"{name}.json" for name in ("lxmert-vqa", "lxmert-gqa")}
"""File of each shipped list: of VQA v2 (3,129 answers) and of GQA (1,842)."""


def answer_file(name: str) -> Path:
    """Return the file of an answer list: a shipped one's by its name, or the path itself."""
    return SHIPPED.get(name, Path(name))


def find_answers(name: str, expected: int) -> list[str]:
    """Read the answer list of a model with `expected` outputs: a shipped one, or a file.

    Raises:
        DataError: the file is not an answer list.
        ModelError: it is one of another length.
    """
    answers = read_answers(answer_file(name))
    if len(answers) != expected:
        raise ModelError(
            f"--answers {name} lists {len(answers)} answers, the model's head has {expected}; "
            "give the list that it was trained with"
        )
    return answers


def read_answers(path: Path) -> list[str]:
    """Read an answer list: a JSON list of distinct strings.

    The empty string is allowed: LXMERT's own list has it at index 0.
    """
    answers: Any = read_json(path, "answer list")
    if not isinstance(answers, list) or not all(isinstance(text, str) for text in answers):
        found = type(answers).__name__
        if isinstance(answers, dict):
            found = "an object"
        elif isinstance(answers, list):
            odd = next(answer for answer in answers if not isinstance(answer, str))
            found = f"a list with {'an object' if isinstance(odd, dict) else repr(odd)[:40]}"
        raise DataError(
            "an answer list is a JSON list of texts, in the order of the model's outputs; this is "
            f"{found}: {path}"
        )
    if not answers:
        raise DataError(f"the answer list is empty: {path}")
    if len(set(answers)) != len(answers):
        twice = next(text for index, text in enumerate(answers) if text in answers[:index])
        raise DataError(f"answer {twice!r} is in the list twice: {path}")
    return answers
