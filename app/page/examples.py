"""Scenes to try the page with, made by the project's own generator."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lxcompress.data.shapes.questions import QuestionWriter
from lxcompress.data.shapes.scenes import make_scene, render

# Kinds of questions (`shape_templates.TEMPLATES`), one for each example.
_TEMPLATES = ("count", "color beyond", "related", "kind extreme")
_SPLIT = "demo"  # no scene of a dataset is made of this seed


@dataclass(frozen=True)
class Example:
    """A picture file and a question about it."""

    picture: Path
    question: str


def make_examples(folder: Path) -> list[Example]:
    """Write the pictures into `folder`; the same ones each time."""
    examples = []
    numbers = count()
    for template in _TEMPLATES:
        question = None
        while question is None:
            number = next(numbers)
            scene = make_scene(0, _SPLIT, number)
            asked = QuestionWriter().write(scene, 8, random.Random(number))
            question = next((one.text for one in asked if one.template == template), None)
        picture = folder / f"scene-{number}.png"
        render(scene).save(picture, format="PNG")
        examples.append(Example(picture, question))
    return examples
