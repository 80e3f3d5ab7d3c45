"""Questions about ShapesVQA scenes: their types, and the balance of their answers."""

from collections import Counter

import pytest

from lxcompress.data.shapes.templates import TEMPLATES


def test_answer_types_have_the_intended_proportions(scenes_with_questions: list) -> None:
    types = Counter(q.answer_type for _, questions in scenes_with_questions for q in questions)
    total = types.total()
    assert total == 600 * 8
    assert types["yes/no"] / total == pytest.approx(0.4, abs=0.005)
    assert types["number"] / total == pytest.approx(0.2, abs=0.005)


def test_answers_are_balanced(scenes_with_questions: list) -> None:
    by_template: dict[str, Counter[str]] = {name: Counter() for name in TEMPLATES}
    for _, questions in scenes_with_questions:
        for question in questions:
            by_template[question.template][question.answer] += 1
    for name, answers in by_template.items():
        assert answers.total() > 30, name
        if TEMPLATES[name].answer_type == "yes/no":
            assert abs(answers["yes"] - answers["no"]) <= 1, name
        else:
            assert max(answers.values()) / answers.total() < 0.62, name
    # The best that a model blind to the picture can do from the kind of question.
    blind = sum(max(answers.values()) for answers in by_template.values())
    assert blind / sum(answers.total() for answers in by_template.values()) < 0.45


def test_no_question_twice_about_a_picture(scenes_with_questions: list) -> None:
    for _, questions in scenes_with_questions:
        assert len({question.text for question in questions}) == len(questions)
