"""Reading VizWiz's JSON, and every wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_files import vizwiz_row, write_json

from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError


def test_the_picture_is_the_id_of_its_question(tmp_path: Path) -> None:
    names = ["VizWiz_train_00000000.jpg", "VizWiz_train_00000001.jpg"]
    answers = ["unanswerable"] * 6 + ["unsuitable image"] * 4
    rows = [vizwiz_row(names[0]), vizwiz_row(names[1], answers) | {"answer_type": "unanswerable"}]
    text = "What's the name of this product?"
    assert read_questions(write_json(tmp_path / "train.json", rows), None) == [
        Question(names[0], "VizWiz_train_00000000", text, None, "other", ("basil leaves",) * 10),
        Question(names[1], "VizWiz_train_00000001", text, None, "unanswerable", tuple(answers)),
    ]


def test_a_test_split_has_no_answers(tmp_path: Path) -> None:
    path = write_json(tmp_path / "test.json", [vizwiz_row("VizWiz_test_00000000.jpg", None)])
    (question,) = read_questions(path, None)
    assert not question.is_answered and question.answer_type is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.append("x"), "train.json: entry 2 is a value of type str"),
        (lambda rows: rows[1].pop("image"), "train.json: entry 1 has no 'image'"),
        (lambda rows: rows[1].update(image=1), "entry 1 has a value of type int as 'image'"),
        (lambda rows: rows[1].pop("question"), "entry 1 has no 'question'"),
        (lambda rows: rows[1].pop("answer_type"), "'b.jpg' has no 'answer_type'"),
        (lambda rows: rows[1].pop("answers"), "1 of 2 questions have no 'answers', .* 'b.jpg'"),
        (
            lambda rows: rows[1].update(answers="x"),
            "'b.jpg' has .* str as 'answers'",
        ),
        (lambda rows: rows[1].update(answers=["x"] * 10), "'b.jpg' has an answer that is not"),
        (lambda rows: rows[1].update(answers=[{}] * 10), "'b.jpg' has an answer that is not"),
        (lambda rows: rows[1]["answers"].clear(), "'b.jpg' has 0 answers, .* at least 4"),
        (lambda rows: rows.append(rows[0]), "1 question ids occur more than once, .* 'a.jpg'"),
    ],
)
def test_bad_vizwiz_files(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    rows = [vizwiz_row("a.jpg"), vizwiz_row("b.jpg")]
    change(rows)
    with pytest.raises(DataError, match=message) as problem:
        read_questions(write_json(tmp_path / "train.json", rows), None)
    assert "\n" not in str(problem.value)
