"""Check the heads and neurons of a file, and count them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from onnx import helper

from exporters.encodings.int8 import weight_of
from exporters.graph.onnx_file import OnnxFile
from exporters.graph.structure import Structure
from lxcompress.errors import ModelError
from lxcompress.model.prunable import MODALITIES, modality
from lxcompress.model.sublayers import FEED_FORWARDS

Units = dict[str, dict[str, tuple[int, int]]]
"""By kind and part of the model: how many are left, of those of the dense model."""

_QUERY, _FIRST = ".query.weight", ".dense.weight"


def check_units(
    file: OnnxFile, structure: Structure, shapes: Mapping[str, tuple[int, ...]]
) -> Units:
    """Check that attention splits into the stated heads, and return the number of all units.

    shapes: of the weights in the file, as in PyTorch, by name. Those that belong to the units of
        `structure` must have been checked.

    Raises:
        ModelError: an attention has another number of heads than its metadata say.
    """
    stated = structure.counts
    units: Units = {kind: dict.fromkeys(MODALITIES, (0, 0)) for kind in ("heads", "neurons")}

    def count(kind: str, name: str, left: int, of: int) -> None:
        before, total = units[kind][modality(name)]
        units[kind][modality(name)] = (before + left, total + of)

    for layer in structure.kept:
        count(layer.kind, layer.name, stated[layer.name], layer.units)
    for name, heads in _heads(file).items():
        expected = stated.get(name, min(heads))
        if heads != {expected}:
            raise ModelError(
                f"{file.path} states other heads or neurons than it has: queries and keys of "
                f"{name} are split into {sorted(heads)} heads, not {expected}"
            )
        if name not in stated:
            count("heads", name, expected, expected)
    for weight, shape in shapes.items():
        name = weight.removesuffix(_FIRST)
        if name != weight and name.rpartition(".")[2] in FEED_FORWARDS and name not in stated:
            count("neurons", name, shape[0], shape[0])
    return units


def _heads(file: OnnxFile) -> dict[str, set[int]]:
    """Return the numbers of heads that queries and keys are split into, by the sublayer's name.

    An attention across is computed in both directions.
    """
    readers = defaultdict(list)
    for node in file.model.graph.node:
        for name in node.input:
            readers[name].append(node)
    heads: dict[str, set[int]] = defaultdict(set)
    for node in file.model.graph.node:
        query = weight_of(node)
        if query.endswith(_QUERY):
            (biased,) = readers[node.output[0]]
            (attention,) = readers[biased.output[0]]
            heads[query.removesuffix(_QUERY)] |= {
                helper.get_node_attr_value(attention, attribute)
                for attribute in ("q_num_heads", "kv_num_heads")
            }
    return heads
