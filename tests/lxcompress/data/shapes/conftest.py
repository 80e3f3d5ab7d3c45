"""Scenes and questions that the tests of ShapesVQA share."""

import random

import pytest

from lxcompress.data.shapes.questions import QuestionWriter
from lxcompress.data.shapes.scenes import Scene, make_scene


@pytest.fixture(scope="module")
def scenes_with_questions() -> list[tuple[Scene, list]]:
    """600 scenes with their questions, as one split has them."""
    writer = QuestionWriter()
    scenes = [make_scene(0, "train", index) for index in range(600)]
    return [(s, writer.write(s, 8, random.Random(i))) for i, s in enumerate(scenes)]
