"""Reading LXMERT's own JSON, and every wrong input."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_files import write_json

from lxcompress.data.questions.lxmert import read_lxmert
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError

SAMPLES: list[Any] = [
    {
        "question_id": 458752000,
        "img_id": "COCO_train2014_000000458752",
        "sent": "What is this photo taken looking through?",
        "question_type": "what is this",
        "answer_type": "other",
        "label": {"net": 1, "fence": 0.3},
    },
    {"question_id": "n17", "img_id": "n161313", "sent": "Is it red?", "label": {}},
]


def test_lxmert_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    first = write_json(tmp_path / "train.json", SAMPLES[:1])
    second = write_json(tmp_path / "nominival.json", SAMPLES[1:])
    questions = read_lxmert([first, second])
    assert questions == [
        Question(
            458752000,
            "458752",
            "What is this photo taken looking through?",
            "what is this",
            "other",
            scores={"net": 1.0, "fence": 0.3},
        ),
        Question("n17", "n161313", "Is it red?", scores={}),
    ]
    assert read_lxmert(first) == questions[:1]


def test_lxmert_test_split_has_no_scores(tmp_path: Path) -> None:
    rows = [{key: row[key] for key in ("question_id", "img_id", "sent")} for row in SAMPLES]
    assert [q.scores for q in read_lxmert(write_json(tmp_path / "test.json", rows))] == [None, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.clear(), "s.json is empty"),
        (lambda rows: rows[0].pop("img_id"), "question 458752000 has no 'img_id'"),
        (lambda rows: rows[0].pop("sent"), "question 458752000 has no 'sent'"),
        (lambda rows: rows[0].pop("question_id"), "entry 0 has no 'question_id'"),
        (
            lambda rows: rows.insert(0, {"image": "VizWiz_1.jpg", "question": "What?"}),
            "entry 0 has no 'question_id' .* VizWiz's JSON: give it as questions",
        ),
        (lambda rows: rows[0].update(sent=None), "458752000 has null as 'sent'"),
        (lambda rows: rows[0].update(answer_type=1), "458752000 has a type that is not text"),
        (lambda rows: rows[0].update(label=["net"]), "458752000 has a 'label' that is not"),
        (lambda rows: rows[0].update(label={"net": "1"}), "458752000 has a 'label' that is not"),
        (lambda rows: rows[0].update(label={"net": 1.5}), "458752000 has a 'label' that is not"),
        (lambda rows: rows[0].update(label={"net": float("nan")}), "has a 'label' that is not"),
        (lambda rows: rows[1].pop("label"), "1 of 2 questions have no 'label', for example 'n17'"),
        (lambda rows: rows.append(rows[0]), "1 question ids occur more than once.* 458752000"),
    ],
)
def test_bad_lxmert_files(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    rows = copy.deepcopy(SAMPLES)
    change(rows)
    with pytest.raises(DataError, match=message):
        read_lxmert(write_json(tmp_path / "s.json", rows))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="samples file not found: .*s.json"):
        read_lxmert(tmp_path / "s.json")
    with pytest.raises(DataError, match="folder"):
        read_lxmert(tmp_path)


def test_official_json_given_as_samples(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="q.json is an object, .* official VQA v2 JSON"):
        read_lxmert(write_json(tmp_path / "q.json", {"questions": []}))
