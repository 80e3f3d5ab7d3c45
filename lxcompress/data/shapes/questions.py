"""Asks balanced questions about ShapesVQA scenes, one scene after another."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from lxcompress.data.shapes.scenes import COLORS, KINDS, MAX_SHAPES, SIZES, Scene
from lxcompress.data.shapes.templates import TEMPLATES

ANSWERS: tuple[str, ...] = (
    *("yes", "no"),
    *(str(count) for count in range(MAX_SHAPES + 1)),
    *(*COLORS, *KINDS, *SIZES),
)
"""Every answer that a question can have."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer. `template` names its kind, `opening` its first words."""

    template: str
    opening: str
    answer_type: str  # "yes/no", "number" or "other", as in VQA
    text: str
    answer: str


class QuestionWriter:
    """Asks about one scene after another, and keeps the answers balanced as it goes.

    In every yes/no template "yes" and "no" never differ by more than one; in the others each
    answer that the scene allows is equally likely. Of the questions 40% are yes/no, 20% number and
    40% other. What it asks about a scene depends on the scenes before, never on those after.
    """

    _TYPES = ("yes/no", "other", "number", "other", "yes/no")

    def __init__(self) -> None:
        self._asked = 0
        self._surplus: Counter[str] = Counter()  # yes minus no, by template

    def write(self, scene: Scene, count: int, rng: random.Random) -> list[Question]:
        """Up to `count` different questions about a scene; a plain scene may allow fewer."""
        questions: dict[str, Question] = {}
        for _ in range(count):
            wanted = self._TYPES[self._asked % len(self._TYPES)]
            question = self._ask(scene, wanted, questions, rng)
            if question is None:
                break
            questions[question.text] = question
            self._asked += 1
        return list(questions.values())

    def _ask(
        self, scene: Scene, wanted: str, taken: dict[str, Question], rng: random.Random
    ) -> Question | None:
        def order(name: str) -> tuple[bool, float]:
            # The wanted type first; within a type a weighted shuffle (Efraimidis and Spirakis).
            template = TEMPLATES[name]
            return template.answer_type == wanted, rng.random() ** (1 / template.weight)

        for name in sorted(TEMPLATES, key=order, reverse=True):
            template = TEMPLATES[name]
            by_answer: dict[str, list[str]] = {}
            for text, answer in template.candidates(template.pattern, scene):
                if text not in taken:
                    by_answer.setdefault(answer, []).append(text)
            if self._surplus[name]:
                needed = "no" if self._surplus[name] > 0 else "yes"
                by_answer = {needed: by_answer[needed]} if needed in by_answer else {}
            if by_answer:
                answer = rng.choice(list(by_answer))
                if template.answer_type == "yes/no":
                    self._surplus[name] += 1 if answer == "yes" else -1
                text = rng.choice(by_answer[answer])
                return Question(name, template.opening, template.answer_type, text, answer)
        return None
