"""All encodings, and which of them each weight has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    graph: Graph, variant: Variant, remaining: Mapping[str, int]
) -> dict[str, Encoding]:
    """Return the encoding of each weight of `graph`.

    remaining: for the weights that a mask covers, how many elements it leaves.
    """
    chosen = {}
    for name, shape in graph.weights.items():
        weight = Weight(shape, _role(graph, name), remaining.get(name))
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


def describe(encodings: Iterable[Encoding], *, compact: bool) -> str:
    """Return the `encoding` of a file's metadata: dense, compact, bitmask or compact+bitmask."""
    sparse = {encoding.NAME for encoding in encodings if encoding.SPARSE}
    return "+".join([*(["compact"] if compact else []), *sorted(sparse)]) or Dense.NAME


def _role(graph: Graph, name: str) -> Literal["matrix", "table", "vector"]:
    if name in graph.matrices:
        return "matrix"
    return "table" if name in graph.tables else "vector"
