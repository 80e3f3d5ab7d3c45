"""Scoring against an independent implementation of the official rules, and result files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from official_normalization import answer_texts, literal_normalize
from shared import SHARED
from typer.testing import CliRunner

from lxcompress.cli.score import score as score_command
from lxcompress.data.questions.answers import answer_list
from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.question import Question
from lxcompress.errors import ConfigError, DataError
from lxcompress.evaluation.scoring import (
    official_accuracy,
    read_results,
    score,
    score_results,
    soft_score,
    write_results,
)

EASY_VQA = SHARED / "easy-vqa"


def literal_accuracy(prediction: str, answers: list[str]) -> float:
    """The official per-question accuracy, annotator by annotator, without caching."""

    def tidy(text: str) -> str:
        return text.replace("\n", " ").replace("\t", " ").strip()

    prediction, answers = tidy(prediction), [tidy(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction = literal_normalize(prediction)
        answers = [literal_normalize(answer) for answer in answers]
    accuracies = []
    for person in range(len(answers)):
        others = answers[:person] + answers[person + 1 :]
        accuracies.append(min(1, float(others.count(prediction)) / 3))
    return float(sum(accuracies)) / len(accuracies)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[str]]:
    pool = draw(st.lists(answer_texts, min_size=1, max_size=3)) + ["Two", "2", "t-shirt", "t shirt"]
    pool = pool[: draw(st.integers(1, len(pool)))]
    answers = draw(st.lists(st.sampled_from(pool), min_size=10, max_size=10))
    return draw(st.sampled_from([*pool, "2"])), answers


@settings(deadline=None)
@given(cases())
def test_accuracy_follows_the_rules(case: tuple[str, list[str]]) -> None:
    prediction, answers = case
    # Equal to the last bit: the official figures are rounded from sums of these.
    assert official_accuracy(prediction, answers) == literal_accuracy(prediction, answers)


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("yes", ["yes"] * 10, 1.0),
        ("yes", ["yes"] * 4 + ["no"] * 6, 1.0),
        ("yes", ["yes"] * 3 + ["no"] * 7, 0.9),
        ("yes", ["yes"] * 2 + ["no"] * 8, 0.6),
        ("yes", ["yes"] + ["no"] * 9, 0.3),
        ("red", ["yes"] + ["no"] * 9, 0.0),
        ("Two", ["2"] * 5 + ["two"] * 5, 1.0),
        (" yes\n", ["yes"] * 10, 1.0),
        # Unanimous answers are compared as they are written.
        ("2", ["two"] * 10, 0.0),
        ("the dog", ["dog"] * 10, 0.0),
        ("T-shirt", ["T-shirt"] * 10, 1.0),
        ("t shirt", ["T-shirt"] * 10, 0.0),
        # Newlines and outer spaces do not make answers differ.
        ("2", ["two", " two\n"] * 5, 0.0),
    ],
)
def test_accuracy_by_hand(prediction: str, answers: list[str], expected: float) -> None:
    assert official_accuracy(prediction, answers) == pytest.approx(expected, abs=1e-12)


def test_soft_score_is_the_label_of_the_answer() -> None:
    scores = {"net": 1.0, "t shirt": 0.6, "2": 0.3}
    assert soft_score("net", scores) == 1.0
    assert soft_score("T-shirt", scores) == 0.6
    assert soft_score("two", scores) == 0.3
    assert soft_score("wall", scores) == 0.0
    assert soft_score("net", {}) == 0.0


def question_with(
    question_id: int, answers: list[str], answer_type: str, question_type: str
) -> Question:
    return Question(question_id, "1", "What?", question_type, answer_type, tuple(answers))


QUESTIONS = [
    question_with(1, ["yes"] * 10, "yes/no", "is"),
    question_with(2, ["yes"] * 3 + ["no"] * 7, "yes/no", "is"),
    question_with(3, ["2"] * 2 + ["3"] * 8, "number", "how many"),
]
PREDICTIONS: dict[int | str, str] = {1: "yes", 2: "yes", 3: "two"}


def test_score_groups_by_type() -> None:
    result = score(PREDICTIONS, QUESTIONS)
    assert result.metric == "VQA v2 accuracy"
    assert result.questions == 3
    assert result.overall == pytest.approx(100 * (1 + 0.9 + 0.6) / 3)
    assert result.per_question == pytest.approx({1: 100, 2: 90, 3: 60})
    assert result.accuracy() == pytest.approx(
        {"overall": 250 / 3, "yes/no": 95, "number": 60, "other": None}
    )
    assert result.official() == {
        "overall": 83.33,
        "perAnswerType": {"yes/no": 95.0, "number": 60.0},
        "perQuestionType": {"is": 95.0, "how many": 60.0},
    }
    assert result.official_per_question() == {1: 100.0, 2: 90.0, 3: 60.0}


def test_score_by_lxmert_labels() -> None:
    questions = [
        Question("a", "1", "What?", scores={"net": 1.0}),
        Question("b", "1", "What?", scores={"net": 0.3, "wall": 0.9}),
    ]
    result = score({"a": "net", "b": "net", "unasked": "net"}, questions)
    assert result.metric == "LXMERT soft score"
    assert result.accuracy() == {"overall": 65.0, "yes/no": None, "number": None, "other": None}
    assert result.per_question_type == {}


def test_gqa_compares_answers_as_they_are_written() -> None:
    questions = [
        Question("a", "1", "Is it?", "verify", "binary", answer="yes"),
        Question("b", "n1", "What?", "query", "open", answer="t-shirt"),
        Question("c", "n1", "What?", "query", "open", answer="cup"),
    ]
    result = score({"a": "yes", "b": "t shirt", "c": "cup"}, questions)
    assert result.metric == "GQA accuracy"
    assert result.official() == {
        "overall": 66.67,
        "perAnswerType": {"binary": 100.0, "open": 50.0},
        "perQuestionType": {"verify": 100.0, "query": 50.0},
    }
    assert result.accuracy()["yes/no"] is None


def test_score_needs_something_to_score_against() -> None:
    bare, labelled = Question(8, "1", "What?"), Question(9, "1", "What?", scores={})
    predictions: dict[int | str, str] = {1: "yes", 8: "yes", 9: "yes"}
    with pytest.raises(DataError, match="1 of 2 questions have no answers .* 8"):
        score(predictions, [QUESTIONS[0], bare])
    with pytest.raises(DataError, match="scored by LXMERT soft score, some by VQA v2 accuracy"):
        score(predictions, [QUESTIONS[0], labelled])
    with pytest.raises(DataError, match="no questions to score"):
        score(predictions, [])


def test_results_must_answer_exactly_the_questions() -> None:
    assert score_results(PREDICTIONS, QUESTIONS) == score(PREDICTIONS, QUESTIONS)
    with pytest.raises(DataError, match="2 questions have no prediction, for example .* 2 .int."):
        score_results({1: "yes"}, QUESTIONS)
    with pytest.raises(DataError, match="1 predictions are for questions that are not .* '1' .str"):
        score_results(PREDICTIONS | {"1": "yes"}, QUESTIONS)


@settings(deadline=None)
@given(st.dictionaries(st.one_of(st.integers(), st.text()), st.text()))
def test_result_files_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, predictions: dict[int | str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "results" / "results.json"
    write_results(path, predictions)
    assert read_results(path) == predictions
    assert [child.name for child in path.parent.iterdir()] == ["results.json"]


def test_result_file_has_the_official_format(tmp_path: Path) -> None:
    write_results(tmp_path / "r.json", {262148000: "yes"})
    written = json.loads((tmp_path / "r.json").read_text())
    assert written == [{"question_id": 262148000, "answer": "yes"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"1": "yes"}, "r.json is not a list"),
        (["yes"], "entry 0 is a value of type str"),
        ([{"question_id": 1}], "question 1 has no 'answer'"),
        ([{"answer": "yes"}], "entry 0 has no 'question_id'"),
        ([{"question_id": 1, "answer": 3}], "question 1 has .* int as 'answer', expected str"),
        ([{"question_id": 1.0, "answer": "x"}], "entry 0 has .* float as 'question_id'"),
        ([{"question_id": True, "answer": "x"}], "entry 0 has .* bool as 'question_id'"),
        ([{"question_id": 1, "answer": "x"}] * 2, "1 question ids occur more than once.* 1"),
    ],
)
def test_bad_result_files(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_results(tmp_path / "r.json")


def test_missing_or_truncated_result_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="result file not found"):
        read_results(tmp_path / "r.json")
    (tmp_path / "r.json").write_text('[{"question_id": 1, "ans')
    with pytest.raises(DataError, match="not valid JSON"):
        read_results(tmp_path / "r.json")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A result file and the questions and annotations it belongs to, as command-line arguments."""
    write_results(tmp_path / "r.json", PREDICTIONS)
    rows: list[dict[str, Any]]
    rows = [{"question_id": q.question_id, "image_id": 1, "question": q.text} for q in QUESTIONS]
    (tmp_path / "q.json").write_text(json.dumps({"questions": rows}))
    rows = [
        {
            "question_id": q.question_id,
            "image_id": 1,
            "question_type": q.question_type,
            "answer_type": q.answer_type,
            "answers": [{"answer": answer} for answer in q.answers or ()],
        }
        for q in QUESTIONS
    ]
    (tmp_path / "a.json").write_text(json.dumps({"annotations": rows}))
    names = [str(tmp_path / name) for name in ("r.json", "q.json", "a.json")]
    return [names[0], "--questions", names[1], "--annotations", names[2]]


def run(arguments: list[str]) -> str:
    app = typer.Typer()
    app.command()(score_command)
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def test_command_prints_and_writes_the_official_figures(files: list[str], tmp_path: Path) -> None:
    accuracy, per_question = tmp_path / "out" / "accuracy.json", tmp_path / "per_question.json"
    output = run([*files, "--json", str(accuracy), "--per-question", str(per_question)])
    cells = [line.replace("│", " ").split() for line in output.splitlines()]
    assert ["overall", "3", "83.33"] in cells
    assert ["yes/no", "2", "95.00"] in cells
    assert cells.index(["is", "2", "95.00"]) < cells.index(["how", "many", "1", "60.00"])
    assert json.loads(accuracy.read_text()) == score(PREDICTIONS, QUESTIONS).official()
    assert json.loads(per_question.read_text()) == {"1": 100.0, "2": 90.0, "3": 60.0}


def test_command_never_overwrites_its_input_or_a_folder(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="output is a folder"):
        run([*files, "--json", str(tmp_path)])
    with pytest.raises(ConfigError, match="r.json is named twice"):
        run([*files, "--json", files[0]])
    assert read_results(Path(files[0])) == PREDICTIONS


@pytest.mark.skipif(not EASY_VQA.is_dir(), reason="easy-VQA is not here")
def test_easy_vqa() -> None:
    annotations = EASY_VQA / "v2_mscoco_val2014_annotations.json"
    questions = read_questions(EASY_VQA / "v2_OpenEnded_mscoco_val2014_questions.json", annotations)
    rows = json.loads(annotations.read_text())["annotations"]
    right = {row["question_id"]: row["multiple_choice_answer"] for row in rows}
    answers = Counter(right.values())

    labels = answer_list(questions)
    assert len(labels) == 13
    assert sorted(labels) == sorted(answers)
    assert score_results(right, questions).official()["overall"] == 100.0
    always_yes = score_results(dict.fromkeys(right, "yes"), questions)
    assert always_yes.overall == pytest.approx(100 * answers["yes"] / len(questions))
    assert always_yes.accuracy()["number"] is None
