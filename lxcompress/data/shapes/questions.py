"""Writes balanced questions about ShapesVQA scenes."""

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
"""Every possible answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer. `template` is its key in TEMPLATES, `opening` its first words."""

    template: str
    opening: str
    answer_type: str  # "yes/no", "number" or "other", as in VQA
    text: str
    answer: str


class QuestionWriter:
    """Writes questions about one scene after another, and keeps the answers balanced.

    In every yes/no template the counts of "yes" and "no" differ by at most one; in the others each
    answer that the scene allows is equally likely. 40% of the questions are yes/no, 20% number and
    40% other. Questions about a scene depend on the scenes before it, but not on those after it.
    """

    _TYPES = ("yes/no", "other", "number", "other", "yes/no")

    def __init__(self) -> None:
        self._written = 0
        self._surplus: Counter[str] = Counter()  # yes minus no, by template

    def write(self, scene: Scene, count: int, rng: random.Random) -> list[Question]:
        """Up to `count` different questions about a scene; a simple scene may allow fewer."""
        questions: dict[str, Question] = {}
        for _ in range(count):
            answer_type = self._TYPES[self._written % len(self._TYPES)]
            question = self._question(scene, answer_type, questions, rng)
            if question is None:
                break
            questions[question.text] = question
            self._written += 1
        return list(questions.values())

    def _question(
        self, scene: Scene, answer_type: str, taken: dict[str, Question], rng: random.Random
    ) -> Question | None:
        def order(name: str) -> tuple[bool, float]:
            # The requested type first; within a type a weighted shuffle (Efraimidis & Spirakis).
            template = TEMPLATES[name]
            return template.answer_type == answer_type, rng.random() ** (1 / template.weight)

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
