"""The vocabulary of the templates, and every answer checked by an independent reader."""

import re

from lxcompress.data.shapes.questions import ANSWERS
from lxcompress.data.shapes.scenes import COLORS, KINDS, SIZES, Shape
from lxcompress.data.shapes.templates import CLEAR, VOCABULARY


def test_vocabulary_is_exactly_what_occurs(scenes_with_questions: list) -> None:
    questions = [q for _, of_scene in scenes_with_questions for q in of_scene]
    words = {word for q in questions for word in q.text.removesuffix("?").split()}
    assert words == set(VOCABULARY)
    assert len(VOCABULARY) < 80
    assert {q.answer for q in questions} <= set(ANSWERS)
    assert all(q.text == q.text.lower() and q.text.endswith("?") for q in questions)


def test_answers_agree_with_an_independent_reader(scenes_with_questions: list) -> None:
    for scene, questions in scenes_with_questions:
        for question in questions:
            assert answer(question.text, scene.shapes) == question.answer, (question, scene)


# A reader of questions that shares no code with their writer. It also insists that "the ..." fits
# one shape only, and that positions are plain.

_RELATION = "(left of|right of|above|below)"
_EXTREME = "(leftmost|rightmost|topmost|bottommost)"


def choose(words: str, shapes: tuple[Shape, ...]) -> list[Shape]:
    for word in words.split():
        singular = word.removesuffix("s")
        if word in SIZES:
            shapes = tuple(s for s in shapes if s.size == word)
        elif word in COLORS:
            shapes = tuple(s for s in shapes if s.color == word)
        elif singular in KINDS:
            shapes = tuple(s for s in shapes if s.kind == singular)
        else:
            assert singular in {"shape", "thing"}, word
    return list(shapes)


def the(words: str, shapes: tuple[Shape, ...]) -> Shape:
    (only,) = choose(words, shapes)
    return only


def lies(shape: Shape, relation: str, other: Shape) -> bool:
    along = shape.x - other.x if relation in {"left of", "right of"} else shape.y - other.y
    assert abs(along) >= CLEAR, "too close to tell"
    return along < 0 if relation in {"left of", "above"} else along > 0


def lying(parts: tuple[str, ...], shapes: tuple[Shape, ...]) -> list[Shape]:
    words, relation, reference = parts
    other = the(reference, shapes)
    return [s for s in choose(words, shapes) if s is not other and lies(s, relation, other)]


def outermost(extreme: str, shapes: tuple[Shape, ...]) -> Shape:
    ranked = sorted(shapes, key=lambda s: s.x if extreme in {"leftmost", "rightmost"} else s.y)
    if extreme in {"rightmost", "bottommost"}:
        ranked.reverse()
    first, second = ranked[:2]
    across = (first.x - second.x) if extreme in {"leftmost", "rightmost"} else (first.y - second.y)
    assert abs(across) >= CLEAR
    return first


def answer(text: str, shapes: tuple[Shape, ...]) -> str:
    def match(pattern: str) -> tuple[str, ...] | None:
        found = re.fullmatch(pattern, text)
        return found.groups() if found else None

    yes = {True: "yes", False: "no"}
    attribute = {"color": "color", "shape": "kind", "size": "size"}
    if parts := match(r"are there more (.+) than (.+)\?"):
        return yes[len(choose(parts[0], shapes)) > len(choose(parts[1], shapes))]
    if parts := match(rf"is there a (.+) {_RELATION} the (.+)\?"):
        return yes[bool(lying(parts, shapes))]
    if parts := match(r"is there a (.+)\?"):
        return yes[bool(choose(parts[0], shapes))]
    if parts := match(rf"is the (.+) {_RELATION} the (.+)\?"):
        return yes[lies(the(parts[0], shapes), parts[1], the(parts[2], shapes))]
    if parts := match(r"is the (.+?)(?: a)? (\w+)\?"):
        shape = the(parts[0], shapes)
        return yes[parts[1] in {shape.kind, shape.color, shape.size}]
    if parts := match(r"how many (.+) are there\?"):
        return str(len(choose(parts[0], shapes)))
    if parts := match(rf"how many (.+) are {_RELATION} the (.+)\?"):
        return str(len(lying(parts, shapes)))
    if parts := match(rf"what (color|shape|size) is the {_EXTREME} (?:shape|thing)\?"):
        return getattr(outermost(parts[1], shapes), attribute[parts[0]])
    if parts := match(rf"what (color|shape|size) is the (.+) {_RELATION} the (.+)\?"):
        (only,) = lying(parts[1:], shapes)
        return getattr(only, attribute[parts[0]])
    if parts := match(r"what (color|shape|size) is the (.+)\?"):
        return getattr(the(parts[1], shapes), attribute[parts[0]])
    raise AssertionError(f"cannot read {text!r}")
