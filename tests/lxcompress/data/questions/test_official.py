"""Reading official VQA v2 JSON, and every wrong input."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared import SHARED

from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.question import Question, canonical_image_id
from lxcompress.errors import DataError

EASY_VQA = SHARED / "easy-vqa"

QUESTIONS: dict[str, Any] = {
    "info": {"version": "2.0"},
    "questions": [
        {"question_id": 7000, "image_id": 7, "question": "Is it red?"},
        {"question_id": 7001, "image_id": 7, "question": "How many?"},
    ],
}
ANNOTATIONS: dict[str, Any] = {
    "info": {"version": "2.0"},
    "annotations": [
        {
            "question_id": question_id,
            "image_id": 7,
            "question_type": question_type,
            "answer_type": answer_type,
            "multiple_choice_answer": answers[0],
            "answers": [
                {"answer": answer, "answer_confidence": "maybe", "answer_id": number}
                for number, answer in enumerate(answers, start=1)
            ],
        }
        # Not in the order of the questions: the two files are joined by id.
        for question_id, question_type, answer_type, answers in (
            (7001, "how many", "number", ["2"] * 6 + ["two", "3", "3", "none"]),
            (7000, "is it", "yes/no", ["Yes"] * 10),
        )
    ],
}


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_official_files_are_joined_by_id(tmp_path: Path) -> None:
    questions = write(tmp_path / "q.json", QUESTIONS)
    annotations = write(tmp_path / "a.json", ANNOTATIONS)
    many = ("2", "2", "2", "2", "2", "2", "two", "3", "3", "none")
    assert read_questions(questions, annotations) == [
        Question(7000, "7", "Is it red?", "is it", "yes/no", ("Yes",) * 10),
        Question(7001, "7", "How many?", "how many", "number", many),
    ]


def test_a_test_split_has_no_answers(tmp_path: Path) -> None:
    questions = read_questions(write(tmp_path / "q.json", QUESTIONS), None)
    assert questions[1] == Question(7001, "7", "How many?", None, None, None, None)


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_questions(tmp_path / "missing.json", None)
    assert gc.isenabled()


Change = Callable[[Any, Any], object]  # of the content of the questions and annotations files


def _drop(key: str) -> Change:
    return lambda q, a: a["annotations"][1].pop(key)


def _set(key: str, value: Any) -> Change:
    return lambda q, a: a["annotations"][1].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q, a: q["questions"].clear(), "questions file .*q.json is empty"),
        (lambda q, a: a["annotations"].clear(), "annotations file .*a.json is empty"),
        (lambda q, a: q.update(questions={}), "q.json: expected a list of objects, found .* dict"),
        (lambda q, a: q.pop("questions"), "q.json has no 'questions': is it VQA v2 JSON"),
        (
            lambda q, a: (q.clear(), q.update(a)),
            "q.json has no 'questions': it holds 'annotations'",
        ),
        (
            lambda q, a: (a.clear(), a.update(q)),
            "a.json has no 'annotations': it holds 'questions'",
        ),
        (lambda q, a: q["questions"].append("x"), "q.json: entry 2 is a value of type str"),
        (lambda q, a: q["questions"].append([1]), "q.json: entry 2 is a value of type list"),
        (lambda q, a: q["questions"][1].pop("question_id"), "entry 1 has no 'question_id'"),
        (lambda q, a: q["questions"][1].pop("image_id"), "question 7001 has no 'image_id'"),
        (lambda q, a: q["questions"][1].pop("question"), "question 7001 has no 'question'"),
        (lambda q, a: q["questions"][1].update(question=3), "7001 has .* int as 'question'"),
        (lambda q, a: q["questions"][1].update(image_id=None), "7001 has null as 'image_id'"),
        (lambda q, a: q["questions"][1].update(question_id=True), "entry 1 has .* bool as"),
        (
            lambda q, a: q["questions"][1].update(question_id=7000),
            "1 question ids occur more .* 7000",
        ),
        (
            lambda q, a: q["questions"][1].update(image_id=8),
            "7001 is about image 8 in .*q.json but",
        ),
        (
            lambda q, a: [r.update(image_id=f"train/{r['image_id']}.png") for r in q["questions"]],
            "is about image train/.* but .*: an image id is the name of a file",
        ),
        (lambda q, a: q["questions"].pop(1), "1 of the .* in .*a.json are not in .*q.json.* 7001"),
        (
            lambda q, a: a["annotations"].pop(0),
            "1 of the .* in .*q.json are not in .*a.json.* 7001",
        ),
        (
            lambda q, a: a["annotations"].append(a["annotations"][0]),
            "a.json: 1 question ids .* 7001",
        ),
        (_drop("question_id"), "a.json: entry 1 has no 'question_id'"),
        (_drop("image_id"), "a.json: question 7000 has no 'image_id'"),
        (_drop("question_type"), "a.json: question 7000 has no 'question_type'"),
        (_drop("answer_type"), "a.json: question 7000 has no 'answer_type'"),
        (_drop("answers"), "a.json: question 7000 has no 'answers'"),
        (
            lambda q, a: a["annotations"][1].update(
                answer=a["annotations"][1].pop("answers") and "x"
            ),
            "question 7000 has no 'answers' .* it has a single 'answer': repeat it",
        ),
        (
            lambda q, a: [
                row.update(question_id=str(row["question_id"])) for row in q["questions"]
            ],
            "'7000': they are numbers in one file and texts in the other",
        ),
        (_set("answer_type", 1), "question 7000 has .* int as 'answer_type', expected str"),
        (_set("answers", "yes"), "question 7000 has .* str as 'answers', expected list"),
        (_set("answers", [{"answer": 1}] * 10), "question 7000 has an answer that is not"),
        (_set("answers", [{"text": "yes"}] * 10), "question 7000 has an answer that is not"),
        (_set("answers", [None] * 10), "question 7000 has an answer that is not"),
        (_set("answers", []), "question 7000 has 0 answers"),
        (_set("answers", [{"answer": "yes"}]), "question 7000 has 1 answers, .* at least 4"),
    ],
)
def test_bad_official_files(tmp_path: Path, change: Change, message: str) -> None:
    questions, annotations = copy.deepcopy(QUESTIONS), copy.deepcopy(ANNOTATIONS)
    change(questions, annotations)
    with pytest.raises(DataError, match=message) as problem:
        read_questions(
            write(tmp_path / "q.json", questions), write(tmp_path / "a.json", annotations)
        )
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON .truncated"),
        (json.dumps(ANNOTATIONS)[:200], "annotations file is not valid JSON .truncated"),
        ("[]", "annotations file .*a.json is empty"),
        (
            '[{"img_id": "1", "sent": "x"}]',
            "a.json looks like LXMERT's own JSON: give it",
        ),
        (
            '[{"image": "1.jpg", "question": "x"}]',
            "a.json: it looks like VizWiz's JSON: give it",
        ),
        ("3", "a.json has no 'annotations'"),
        ("null", "a.json has no 'annotations'"),
    ],
)
def test_other_json_as_annotations(tmp_path: Path, content: str, message: str) -> None:
    questions = write(tmp_path / "q.json", QUESTIONS)
    with pytest.raises(DataError, match=message):
        read_questions(questions, write(tmp_path / "a.json", content))


def test_vqa_cp_has_bare_lists_of_the_same_rows(tmp_path: Path) -> None:
    """As vqacp_v2_train_questions.json and vqacp_v2_train_annotations.json, with `coco_split`."""
    official = [write(tmp_path / "q.json", QUESTIONS), write(tmp_path / "a.json", ANNOTATIONS)]
    bare = [
        write(tmp_path / name, [{"coco_split": "val2014"} | row for row in rows])
        for name, rows in (
            ("vqacp_v2_train_questions.json", QUESTIONS["questions"]),
            ("vqacp_v2_train_annotations.json", ANNOTATIONS["annotations"]),
        )
    ]
    assert read_questions(*bare) == read_questions(*official)
    with pytest.raises(DataError, match="questions.json: question 7000 has no 'question_type'"):
        read_questions(bare[0], bare[0])


def test_ok_vqa_has_two_forms_of_an_answer_of_which_one_counts(tmp_path: Path) -> None:
    """As mscoco_train2014_annotations.json, without `multiple_choice_answer`."""
    answers = [
        {"answer_id": number, "raw_answer": "racing", "answer_confidence": "yes", "answer": "race"}
        for number in range(1, 11)
    ]
    row = {"image_id": 51606, "question_id": 516065, "question_type": "four"}
    row |= {"answer_type": "other", "confidence": 3, "answers": answers}
    question = {"image_id": 51606, "question_id": 516065, "question": "What sport can you use?"}
    questions = write(tmp_path / "q.json", {"task_type": "Open-Ended", "questions": [question]})
    annotations = write(tmp_path / "a.json", {"annotations": [row]})
    (read,) = read_questions(questions, annotations)
    assert read.answers == ("race",) * 10
    assert (read.question_type, read.answer_type) == ("four", "other")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="questions file not found: .*q.json"):
        read_questions(tmp_path / "q.json", None)
    with pytest.raises(DataError, match="annotations file not found: .*a.json"):
        read_questions(write(tmp_path / "q.json", QUESTIONS), tmp_path / "a.json")


@pytest.mark.skipif(not EASY_VQA.is_dir(), reason="easy-VQA is not here")
def test_easy_vqa() -> None:
    questions = read_questions(
        EASY_VQA / "v2_OpenEnded_mscoco_val2014_questions.json",
        EASY_VQA / "v2_mscoco_val2014_annotations.json",
    )
    assert len(questions) == 9673
    assert {question.answer_type for question in questions} == {"yes/no", "other"}
    pictures = {canonical_image_id(path.name) for path in (EASY_VQA / "val2014").iterdir()}
    assert {question.image_id for question in questions} <= pictures
