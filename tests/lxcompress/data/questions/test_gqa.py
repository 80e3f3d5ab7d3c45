"""Reading GQA's JSON, and every wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_files import gqa_row, write_json

from lxcompress.data.questions.answers import answer_list, label_index, target_scores
from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError


def test_questions_have_one_answer_each(tmp_path: Path) -> None:
    rows = {
        "02930152": gqa_row("2354786"),
        "07333408": gqa_row("n161313", "pipe", structural="query"),
    }
    assert read_questions(write_json(tmp_path / "q.json", rows), None) == [
        Question("02930152", "2354786", "Is it?", "verify", "binary", answer="yes"),
        Question("07333408", "n161313", "Is it?", "query", "open", answer="pipe"),
    ]


def test_a_test_split_has_no_answers(tmp_path: Path) -> None:
    path = write_json(tmp_path / "q.json", {"201307251": gqa_row("n161313", None)})
    assert read_questions(path, None) == [Question("201307251", "n161313", "Is it?")]


def test_answers_are_listed_and_learnt_as_they_are_written() -> None:
    """VQA v2's normal form makes one of these two, which GQA's evaluation tells apart."""
    questions = [
        Question(str(number), "1", "What?", answer=answer)
        for number, answer in enumerate(["t-shirt", "t-shirt", "t shirt"])
    ]
    labels = answer_list(questions, min_occurrences=1)
    assert labels == ["t-shirt", "t shirt"]
    assert [target_scores(q, label_index(labels)) for q in questions] == [
        [(0, 1.0)],
        [(0, 1.0)],
        [(1, 1.0)],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.update(b="x"), "q.json: entry 1 is a value of type str"),
        (lambda rows: rows["b"].pop("imageId"), "q.json: question 'b' has no 'imageId'"),
        (lambda rows: rows["b"].update(imageId=None), "question 'b' has null as 'imageId'"),
        (lambda rows: rows["b"].pop("question"), "question 'b' has no 'question'"),
        (lambda rows: rows["b"].update(question=1), "'b' has .* int as 'question', expected str"),
        (lambda rows: rows["b"].update(answer=1), "'b' has an 'answer' that is not a text"),
        (lambda rows: rows["b"].update(answer=["x"]), "'b' has an 'answer' that is not a text"),
        (lambda rows: rows["b"]["types"].update(structural=1), "'b' has a type that is not text"),
        (lambda rows: rows["b"].pop("answer"), "1 of 2 questions have no 'answer', .* 'b'"),
    ],
)
def test_bad_gqa_files(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    rows = {"a": gqa_row("1"), "b": gqa_row("2")}
    change(rows)
    with pytest.raises(DataError, match=message) as problem:
        read_questions(write_json(tmp_path / "q.json", rows), None)
    assert "\n" not in str(problem.value)
