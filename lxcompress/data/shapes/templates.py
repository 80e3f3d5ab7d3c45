"""Templates of questions about a ShapesVQA scene, with the answers.

A description in a question ("the small red circle") fits exactly one shape. Questions about
positions occur only where these are unambiguous: centres at least `CLEAR` pixels apart. "left of"
compares the horizontal axis alone, "above" the vertical one.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product

from lxcompress.data.shapes.scenes import COLORS, KINDS, SIZES, Scene, Shape

CLEAR = 6.0  # px

# Axis of a shape's centre (0: x, 1: y), and which way along it.
RELATIONS = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
EXTREMES = {"leftmost": (0, -1), "rightmost": (0, 1), "topmost": (1, -1), "bottommost": (1, 1)}

_ATTRIBUTES = {"size": SIZES, "color": tuple(COLORS), "kind": KINDS}
_NOUN = "shape"  # for a description without a kind
_Candidates = Iterator[tuple[str, str]]  # questions with their answers
# The sets of attributes of a description, shortest first; and all values of one or two of them.
_COMBINATIONS = [names for length in (1, 2, 3) for names in combinations(_ATTRIBUTES, length)]
_GROUPS: list[dict[str, str]] = [
    dict(zip(names, values, strict=True))
    for names in _COMBINATIONS
    if len(names) <= 2
    for values in product(*(_ATTRIBUTES[name] for name in names))
]
_ONE = [group for group in _GROUPS if len(group) == 1]
_TWO = [group for group in _GROUPS if len(group) == 2]


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of question. `candidates(pattern, scene)` yields its questions with their answers."""

    pattern: str
    opening: str
    answer_type: str
    weight: float  # relative frequency among the templates of its answer type
    candidates: Callable[[str, Scene], _Candidates]


def _words(attributes: dict[str, str], noun: str = _NOUN) -> str:
    """A size, color and kind, each optional, as text: "small red circle", "red shape"."""
    words = [attributes[name] for name in ("size", "color") if name in attributes]
    return " ".join([*words, attributes.get("kind", noun)])


def _fits(shape: Shape, attributes: dict[str, str]) -> bool:
    return all(getattr(shape, name) == value for name, value in attributes.items())


def _matching(scene: Scene, attributes: dict[str, str]) -> list[Shape]:
    return [shape for shape in scene.shapes if _fits(shape, attributes)]


def _references(scene: Scene, without: str = "") -> Iterator[tuple[Shape, dict[str, str]]]:
    """Shapes with the fewest attributes that fit no other shape, excluding `without`."""
    for shape in scene.shapes:
        shortest = len(_ATTRIBUTES)
        for names in _COMBINATIONS:
            if without not in names and len(names) <= shortest:
                attributes = {name: getattr(shape, name) for name in names}
                if len(_matching(scene, attributes)) == 1:
                    shortest = len(names)
                    yield shape, attributes


def _offset(shape: Shape, other: Shape, direction: tuple[int, int]) -> float:
    """Signed distance of `shape` from `other` in a direction, in pixels."""
    axis, sign = direction
    return sign * ((shape.y - other.y) if axis else (shape.x - other.x))


def _beyond(
    shapes: list[Shape], reference: Shape, direction: tuple[int, int]
) -> list[Shape] | None:
    """Those of `shapes` in a direction from the reference; None if any is ambiguous."""
    offsets = [_offset(shape, reference, direction) for shape in shapes]
    if any(abs(offset) < CLEAR for offset in offsets):
        return None
    return [shape for shape, offset in zip(shapes, offsets, strict=True) if offset > 0]


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _plural(attributes: dict[str, str]) -> str:
    return _words(attributes) + "s"


def _occur_apart(scene: Scene, attributes: dict[str, str]) -> bool:
    """Whether each attribute occurs, if not together: else one alone would give the answer."""
    return all(_matching(scene, {name: value}) for name, value in attributes.items())


def _exists(pattern: str, scene: Scene) -> _Candidates:
    for group in _TWO:
        if _occur_apart(scene, group):
            yield pattern.format(thing=_words(group)), _yes(bool(_matching(scene, group)))


def _more(pattern: str, scene: Scene) -> _Candidates:
    for first, second in permutations(_ONE, 2):
        counts = len(_matching(scene, first)), len(_matching(scene, second))
        if first.keys() == second.keys() and any(counts):
            things, others = _plural(first), _plural(second)
            yield pattern.format(things=things, others=others), _yes(counts[0] > counts[1])


def _exists_beyond(pattern: str, scene: Scene) -> _Candidates:
    for reference, attributes in _references(scene):
        others = [shape for shape in scene.shapes if shape is not reference]
        for group in _ONE:
            fitting = [shape for shape in others if _fits(shape, group)]
            for relation, direction in RELATIONS.items() if fitting else ():
                beyond = _beyond(fitting, reference, direction)
                if beyond is not None:
                    text = pattern.format(
                        thing=_words(group), relation=relation, reference=_words(attributes)
                    )
                    yield text, _yes(bool(beyond))


def _related(pattern: str, scene: Scene) -> _Candidates:
    for (shape, first), (other, second) in permutations(list(_references(scene)), 2):
        for relation, direction in RELATIONS.items() if shape is not other else ():
            offset = _offset(shape, other, direction)
            if abs(offset) >= CLEAR:
                things = {"thing": _words(first), "reference": _words(second)}
                yield pattern.format(relation=relation, **things), _yes(offset > 0)


def _check(pattern: str, scene: Scene) -> _Candidates:
    for name, values in _ATTRIBUTES.items():
        for shape, attributes in _references(scene, without=name):
            for value in values:
                claim = f"a {value}" if name == "kind" else value
                text = pattern.format(reference=_words(attributes), claim=claim)
                yield text, _yes(getattr(shape, name) == value)


def _count(pattern: str, scene: Scene) -> _Candidates:
    for group in _GROUPS:
        if len(group) == 1 or _occur_apart(scene, group):
            yield pattern.format(things=_plural(group)), str(len(_matching(scene, group)))


def _count_all(pattern: str, scene: Scene) -> _Candidates:
    yield pattern.format(things=_plural({})), str(len(scene.shapes))


def _count_beyond(pattern: str, scene: Scene) -> _Candidates:
    for reference, attributes in _references(scene):
        others = [shape for shape in scene.shapes if shape is not reference]
        for relation, direction in RELATIONS.items():
            beyond = _beyond(others, reference, direction)
            if beyond is not None:
                text = pattern.format(
                    things=_plural({}), relation=relation, reference=_words(attributes)
                )
                yield text, str(len(beyond))


def _attribute(name: str, noun: str = _NOUN) -> Callable[[str, Scene], _Candidates]:
    def candidates(pattern: str, scene: Scene) -> _Candidates:
        for shape, attributes in _references(scene, without=name):
            yield pattern.format(reference=_words(attributes, noun)), getattr(shape, name)

    return candidates


def _attribute_beyond(name: str, noun: str = _NOUN) -> Callable[[str, Scene], _Candidates]:
    # Besides all shapes, those with one attribute other than the one in question.
    groups: list[dict[str, str]] = [{}, *(group for group in _ONE if name not in group)]

    def candidates(pattern: str, scene: Scene) -> _Candidates:
        for reference, attributes in _references(scene):
            others = [shape for shape in scene.shapes if shape is not reference]
            for group in groups:
                fitting = [shape for shape in others if _fits(shape, group)]
                # With one fitting shape the relation would be redundant.
                for relation, direction in RELATIONS.items() if len(fitting) > 1 else ():
                    beyond = _beyond(fitting, reference, direction)
                    if beyond is not None and len(beyond) == 1:
                        things = {"thing": _words(group, noun), "relation": relation}
                        text = pattern.format(reference=_words(attributes), **things)
                        yield text, getattr(beyond[0], name)

    return candidates


def _attribute_extreme(name: str) -> Callable[[str, Scene], _Candidates]:
    def candidates(pattern: str, scene: Scene) -> _Candidates:
        for extreme, direction in EXTREMES.items():
            for shape in scene.shapes:
                others = [other for other in scene.shapes if other is not shape]
                if all(_offset(shape, other, direction) >= CLEAR for other in others):
                    yield pattern.format(extreme=extreme), getattr(shape, name)

    return candidates


_THING = "thing"  # "what shape is the red shape" would sound odd
_COLOR, _KIND, _SIZE = "what color is the", "what shape is the", "what size is the"
_BEYOND = " {thing} {relation} the {reference}?"
TEMPLATES = {
    "exists": Template("is there a {thing}?", "is there a", "yes/no", 3, _exists),
    "more": Template("are there more {things} than {others}?", "are there", "yes/no", 2, _more),
    "exists beyond": Template("is there a" + _BEYOND, "is there a", "yes/no", 1, _exists_beyond),
    "related": Template(
        "is the {thing} {relation} the {reference}?", "is the", "yes/no", 1, _related
    ),
    "check": Template("is the {reference} {claim}?", "is the", "yes/no", 3, _check),
    "count": Template("how many {things} are there?", "how many", "number", 6, _count),
    "count all": Template("how many {things} are there?", "how many", "number", 1, _count_all),
    "count beyond": Template(
        "how many {things} are {relation} the {reference}?", "how many", "number", 1, _count_beyond
    ),
    "color": Template(_COLOR + " {reference}?", _COLOR, "other", 4, _attribute("color")),
    "color beyond": Template(_COLOR + _BEYOND, _COLOR, "other", 1, _attribute_beyond("color")),
    "color extreme": Template(
        _COLOR + " {extreme} shape?", _COLOR, "other", 1, _attribute_extreme("color")
    ),
    "kind": Template(_KIND + " {reference}?", _KIND, "other", 4, _attribute("kind", _THING)),
    "kind beyond": Template(_KIND + _BEYOND, _KIND, "other", 1, _attribute_beyond("kind", _THING)),
    "kind extreme": Template(
        _KIND + " {extreme} thing?", _KIND, "other", 1, _attribute_extreme("kind")
    ),
    "size": Template(_SIZE + " {reference}?", _SIZE, "other", 4, _attribute("size")),
    "size beyond": Template(_SIZE + _BEYOND, _SIZE, "other", 1, _attribute_beyond("size")),
}


def _vocabulary() -> tuple[str, ...]:
    literal = [part[0] for t in TEMPLATES.values() for part in string.Formatter().parse(t.pattern)]
    plurals = [kind + "s" for kind in (*KINDS, _NOUN)]
    parts = [*literal, *RELATIONS, *EXTREMES, *SIZES, *COLORS, *KINDS, *plurals, _NOUN, _THING]
    return tuple(sorted({word for part in parts for word in part.replace("?", " ").split()}))


VOCABULARY: tuple[str, ...] = _vocabulary()
"""Every word of all possible questions, sorted, without the question mark."""
