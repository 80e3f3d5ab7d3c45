"""Soft scores, answer lists and training targets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official_normalization import literal_normalize

from lxcompress.data.questions.answers import (
    answer_list,
    label_index,
    soft_scores,
    target_scores,
)
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError


@settings(deadline=None)
@given(st.lists(st.sampled_from(["yes", "no", "2", "two", "t-shirt"]), min_size=2, max_size=12))
def test_soft_scores_by_leaving_each_annotator_out(answers: list[str]) -> None:
    forms = [literal_normalize(answer) for answer in answers]
    scores = soft_scores(answers)
    assert set(scores) == set(forms)
    for form, score in scores.items():
        subsets = list(combinations(forms, len(forms) - 1))
        expected = sum(min(1, subset.count(form) / 3) for subset in subsets) / len(subsets)
        assert score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "expected"), [(1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_soft_scores_of_ten_annotators(n: int, expected: float) -> None:
    assert soft_scores(["yes"] * n + [f"other {i}" for i in range(10 - n)])["yes"] == expected


def question_with(
    *answers: str, scores: dict[str, float] | None = None, question_id: int = 1
) -> Question:
    return Question(question_id, "1", "What?", answers=answers or None, scores=scores)


def test_answer_list_counts_most_common_answers() -> None:
    questions = [question_with(*["yes"] * 9, "no")] * 3 + [
        question_with(*["red"] * 6, *["yes"] * 4)
    ] * 2
    assert answer_list(questions, min_occurrences=2) == ["yes", "red"]
    assert answer_list(questions, min_occurrences=3) == ["yes"]
    # "no" is in answers, but never the most common one.
    assert answer_list(questions, min_occurrences=1) == ["yes", "red"]


def test_answer_list_order_does_not_depend_on_the_questions_order() -> None:
    questions = [question_with(*[word] * 10) for word in ("cat", "bus", "bus", "ant", "cat", "dog")]
    assert answer_list(questions, 1) == ["bus", "cat", "ant", "dog"]
    assert answer_list(questions[::-1], 1) == ["bus", "cat", "ant", "dog"]


def test_answer_list_breaks_ties_by_order() -> None:
    assert answer_list([question_with(*["b", "c"] * 5)], 1) == ["b"]
    # As normalised classes: "2" and "two" are one, and outnumber "3".
    assert answer_list(
        [question_with("3", "3", "3", "3", "2", "2", "2", "two", "two", "x")], 1
    ) == ["2"]


def test_answer_list_has_the_most_frequent_spelling() -> None:
    # Unanimous answers are compared as they are written, so the label must be written likewise.
    questions = [question_with(*["T-shirt"] * 10)] * 2 + [question_with(*["t shirt"] * 10)]
    assert answer_list(questions, 1) == ["T-shirt"]
    assert answer_list([question_with(*["a"] * 10)], 1) == ["a"]


def test_answer_list_from_lxmert_labels() -> None:
    questions = [
        question_with(scores={"net": 0.3, "fence": 1.0}),
        question_with(scores={"fence": 0.9, "wall": 0.9}),
        question_with(scores={}),
    ]
    assert answer_list(questions, 2) == ["fence"]


def test_answer_list_cannot_be_empty() -> None:
    with pytest.raises(DataError, match="at least 9 times .at most 3.: lower --min-occurrences"):
        answer_list([question_with(*["yes"] * 10)] * 3)
    with pytest.raises(DataError, match="no question has answers"):
        answer_list([question_with()])
    with pytest.raises(DataError, match="no question has answers"):
        answer_list([])


def targets(question: Question, labels: Sequence[str]) -> list[tuple[int, float]]:
    return target_scores(question, label_index(labels))


def test_targets_from_human_answers() -> None:
    question = question_with("Two", "2", "2", "3", *["T-shirt"] * 6)
    assert targets(question, ["3", "T-shirt", "2", "yes"]) == [(0, 0.3), (1, 1.0), (2, 0.9)]
    assert targets(question, ["yes"]) == []


def test_targets_from_lxmert_labels() -> None:
    question = question_with(*["no"] * 10, scores={"t shirt": 0.6, "net": 0.3, "x": 1, "wall": 0})
    assert targets(question, ["wall", "T-shirt", "net"]) == [(1, 0.6), (2, 0.3)]
    # The label with exactly that text has precedence.
    assert targets(question, ["T-shirt", "t shirt"]) == [(1, 0.6)]


def test_no_target_without_answers() -> None:
    with pytest.raises(DataError, match="question 5 has no answers to learn from"):
        targets(question_with(question_id=5), ["yes"])
