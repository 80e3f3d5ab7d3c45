"""All encodings, and which of them each weight has."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from onnx import ModelProto

from exporters.encodings.base import Encoding, Weight
from exporters.encodings.bitmask import Bitmask
from exporters.encodings.dense import Dense
from exporters.encodings.int8 import Int8
from exporters.variants import Variant

if TYPE_CHECKING:  # it imports PyTorch, which is not needed to load a file
    from exporters.graph.trace import Graph

ENCODINGS: tuple[type[Encoding], ...] = (Dense, Int8, Bitmask)
"""In the order in which they are composed, from the inside out."""


def choose_encodings(
    graph: Graph, variant: Variant, pruned: Collection[str]
) -> dict[str, Encoding]:
    """Return the encoding of each weight of `graph`; `pruned` names those that a mask covers."""
    chosen = {}
    for name, shape in graph.weights.items():
        weight = Weight(shape, _role(graph, name), name in pruned)
        encoding: Encoding = Dense()
        for encoding_type in ENCODINGS:
            encoding = encoding_type.choose(weight, variant, encoding)
        chosen[name] = encoding
    return chosen


def find_encodings(model: ModelProto) -> dict[str, Encoding]:
    """Return the encoding of each weight of an exported model.

    Raises:
        ValueError: a node lacks what its encoding needs.
    """
    found: dict[str, Encoding] = {}
    for encoding_type in ENCODINGS:
        encoding_type.find(model, found)
    return found


def _role(graph: Graph, name: str) -> Literal["matrix", "table", "vector"]:
    if name in graph.matrices:
        return "matrix"
    return "table" if name in graph.tables else "vector"
