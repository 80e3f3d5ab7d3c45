"""Example pictures and questions for the page, from the ShapesVQA generator."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lxcompress.data.shapes.questions import QuestionWriter
from lxcompress.data.shapes.scenes import make_scene, render

# One template (`lxcompress.data.shapes.templates.TEMPLATES`) for each example.
_TEMPLATES = ("count", "color beyond", "related", "kind extreme")
_SPLIT = "demo"  # seeds scenes that are in no split of the dataset


@dataclass(frozen=True)
class Example:
    """A picture file and a question about it."""

    picture: Path
    question: str


def make_examples(folder: Path) -> list[Example]:
    """Write the example pictures into `folder`. They are the same each time."""
    examples = []
    numbers = count()
    for template in _TEMPLATES:
        question = None
        while question is None:
            number = next(numbers)
            scene = make_scene(0, _SPLIT, number)
            written = QuestionWriter().write(scene, 8, random.Random(number))
            question = next((one.text for one in written if one.template == template), None)
        picture = folder / f"scene-{number}.png"
        render(scene).save(picture, format="PNG")
        examples.append(Example(picture, question))
    return examples
