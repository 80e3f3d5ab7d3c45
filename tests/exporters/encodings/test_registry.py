"""All encodings, alone and composed: exact round trips, and sizes from first principles."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from exported import CONFIGS, FILES, same_bits
from onnx import ModelProto

from exporters.encodings import registry
from exporters.encodings.base import KINDS, Encoding
from exporters.encodings.bitmask import Bitmask
from exporters.encodings.dense import Dense
from exporters.encodings.int8 import Int8
from exporters.encodings.registry import ENCODINGS, choose_encodings, find_encodings
from exporters.graph.onnx_file import OnnxFile
from exporters.graph.trace import Graph, build_graph
from exporters.variants import VARIANTS, Variant
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask

SHAPES = [(1, 1), (3, 5), (8, 8), (7, 33), (64, 96)]
SPARSITIES = [0, 0.3, 0.5, 0.95, 1]
BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


def graph_with(shape: tuple[int, ...], role: str) -> Graph:
    """A graph of one weight."""
    names = frozenset({"w"})
    return Graph(
        ModelProto(),
        {"w": shape},
        names if role == "matrix" else frozenset(),
        names if role == "table" else frozenset(),
    )


def random_weight(
    shape: tuple[int, ...], sparsity: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A weight, +0 where it is pruned, and which elements remain."""
    random = np.random.default_rng(seed)
    keep = random.random(shape) >= sparsity
    weight = random.standard_normal(shape, np.float32)
    weight[random.random(shape) < 0.1] = 0  # zeros that are not pruned
    return np.where(keep, weight, np.float32(0)), keep


def rounded(weight: np.ndarray, precision: str, role: str) -> np.ndarray:
    """What is left of a float32 weight in a file of this precision, written out."""
    if precision == "fp16":
        return weight.astype(np.float16)
    if precision == "int8" and role != "vector":
        axis = 0 if role == "matrix" else 1
        largest = np.abs(weight).max(axis=axis, keepdims=True)
        scale = np.where(largest > 0, largest / np.float32(63), np.float32(1))
        return (np.rint(weight / scale) + 0) * scale  # int8 has no -0
    return weight


def expected_bytes(
    shape: tuple[int, ...], role: str, variant: Variant, remaining: int | None
) -> dict[str, int]:
    """Counted by hand; `remaining` is None for a weight that no mask covers."""
    size, item = int(np.prod(shape)), BYTES[variant.precision]
    found = dict.fromkeys(KINDS, 0)
    if variant.precision == "int8" and role == "vector":
        item = 4
    elif variant.precision == "int8":
        found["scales"] = 4 * (shape[1] if role == "matrix" else shape[0])
    mask = -(-size // 8)
    if variant.sparse and remaining is not None and mask + remaining * item < size * item:
        found |= {"mask": mask, "values": remaining * item}
    else:
        found["unpruned"] = size * item
    return {kind: number for kind, number in found.items() if number}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("role", ["matrix", "table"])
@pytest.mark.parametrize("shape", SHAPES)
def test_round_trip_and_size(name: str, role: str, shape: tuple[int, ...]) -> None:
    variant, graph = VARIANTS[name], graph_with(shape, role)
    for sparsity in SPARSITIES:
        weight, keep = random_weight(shape, sparsity)
        remaining = int(keep.sum())
        (encoding,) = choose_encodings(graph, variant, {"w": remaining}).values()
        stored = encoding.encode("w", weight, keep)
        decoded = encoding.decode("w", stored.__getitem__)
        expected = rounded(weight, variant.precision, role)
        assert same_bits(decoded, expected.astype(decoded.dtype))
        assert not np.signbit(decoded[~keep]).any() or not variant.sparse
        # What is stored, what it is said to be stored as, and what must be stored.
        kinds = encoding.kinds("w")
        assert stored.keys() == kinds.keys()
        sizes = dict.fromkeys(kinds.values(), 0)
        for tensor, kind in kinds.items():
            sizes[kind] += stored[tensor].nbytes
        assert sizes == encoding.nbytes(shape, remaining)
        found = {kind: size for kind, size in sizes.items() if size}
        assert found == expected_bytes(shape, role, variant, remaining)


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_are_never_quantized(name: str) -> None:
    variant, weight = VARIANTS[name], np.linspace(-3, 3, 11, dtype=np.float32)
    (encoding,) = choose_encodings(graph_with((11,), "vector"), variant, {}).values()
    stored = encoding.encode("w", weight)
    assert list(stored) == ["w"] and isinstance(encoding, Dense)
    decoded = encoding.decode("w", stored.__getitem__)
    assert same_bits(decoded, rounded(weight, variant.precision, "vector"))
    assert encoding.nbytes((11,), 11) == expected_bytes((11,), "vector", variant, None)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("pruned", [False, True])
def test_composition(name: str, pruned: bool) -> None:
    variant = VARIANTS[name]
    (encoding,) = choose_encodings(
        graph_with((4, 6), "matrix"), variant, {"w": 12} if pruned else {"other": 12}
    ).values()
    layers = [kind for kind in ENCODINGS if encoding.layer(kind) is not None]
    value = Int8 if variant.precision == "int8" else Dense
    assert layers == [value, *([Bitmask] if pruned and variant.sparse else [])]
    assert type(encoding) is layers[-1] and type(encoding.dense) is value


@pytest.mark.parametrize(("precision", "fewest"), [("fp32", 33), ("fp16", 65), ("int8", 129)])
def test_a_bitmask_only_where_it_is_smaller(precision: str, fewest: int) -> None:
    """Of 1,024 weights, 128 bytes of bits are saved from 33, 65 or 129 pruned ones on."""
    graph, variant = graph_with((32, 32), "matrix"), VARIANTS[f"sparse-{precision}"]
    for pruned, sparse in ((0, False), (fewest - 1, False), (fewest, True), (1024, True)):
        (encoding,) = choose_encodings(graph, variant, {"w": 1024 - pruned}).values()
        assert sparse == encoding.SPARSE


@pytest.mark.parametrize(
    ("sparse", "compact", "expected"),
    [
        (False, False, "dense"),
        (True, False, "bitmask"),
        (False, True, "compact"),
        (True, True, "compact+bitmask"),
    ],
)
def test_description(sparse: bool, compact: bool, expected: str) -> None:
    encodings = [Dense(), Int8(0), *([Bitmask(Dense(), (2, 2))] if sparse else [])]
    assert registry.describe(encodings, compact=compact) == expected


@pytest.mark.parametrize("precision", BYTES)
def test_unpacking_gives_what_the_dense_file_stores(precision: str) -> None:
    graph, (weight, keep) = graph_with((9, 14), "matrix"), random_weight((9, 14), 0.4)
    remaining = {"w": int(keep.sum())}
    (dense,) = choose_encodings(graph, VARIANTS[precision], remaining).values()
    (sparse,) = choose_encodings(graph, VARIANTS[f"sparse-{precision}"], remaining).values()
    expected = dense.encode("w", weight)
    found = sparse.unpack("w", sparse.encode("w", weight, keep).__getitem__)
    assert list(found) == list(expected)
    assert all(same_bits(found[tensor], expected[tensor]) for tensor in expected)


def describe(encoding: Encoding) -> tuple[object, ...]:
    """Everything that tells encodings apart."""
    inner = describe(encoding.dense) if encoding.dense is not encoding else ()
    axis, shape = getattr(encoding, "axis", None), getattr(encoding, "shape", None)
    return (type(encoding), encoding.dtype, axis, shape, *inner)


@pytest.mark.parametrize("name", FILES)
def test_encodings_of_a_file_are_those_that_were_chosen(tiny_exported: Path, name: str) -> None:
    folder = tiny_exported / "ticket"
    mask = Mask.load(folder / "mask.safetensors", prunable_parameters(load_model(folder)))
    remaining = {name: int(keep.sum()) for name, keep in mask.items()}
    chosen = choose_encodings(build_graph(read_config(folder)), VARIANTS[name], remaining)
    found = find_encodings(OnnxFile(tiny_exported / "onnx" / FILES[name]).model)
    assert found.keys() == chosen.keys()
    for weight, encoding in chosen.items():
        assert describe(found[weight]) == describe(encoding), weight


def test_names_are_unique() -> None:
    assert len({kind.NAME for kind in ENCODINGS}) == len(ENCODINGS)
    encodings = choose_encodings(build_graph(CONFIGS["deep"]), VARIANTS["sparse-int8"], {})
    stored = [encoding.kinds(name) for name, encoding in encodings.items()]
    names = list(itertools.chain.from_iterable(stored))
    assert len(set(names)) == len(names)
