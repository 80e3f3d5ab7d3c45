"""The bitmask encoding: one bit for each weight of a pruned tensor, and its remaining values.

    bits    uint8 [ceil(n / 8)], bit i % 8 of byte i // 8 (least significant first) is 1 where
            element i (row-major) remains; spare bits of the last byte are 0
    values  the remaining elements, in row-major order

That takes `n / 8 + 4 remaining` bytes in fp32, where CSR needs more than `8 remaining`. A tensor of
which little is pruned takes less as it is: in fp32 below 1/32, in fp16 1/16, in int8 1/8. In the
graph, one local function of standard operators decodes a weight. Its inputs are constants and its
shapes are declared, so ONNX Runtime evaluates it once, when it loads the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Self

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from exporters.encodings.base import DOMAIN, SHARED, Encoding, Kind, Read, Weight, replace_all
from exporters.encodings.dense import Dense
from exporters.variants import Variant
from lxcompress.errors import ModelError
from lxcompress.pruning import packed_bits

FUNCTION = "BitmaskDecode"
MASK_SUFFIX, VALUES_SUFFIX = ".mask", ".values"

_POSITIONS_SUFFIX = ".positions"
_BITS = f"{SHARED}bits_of_byte"
_BLOCK = 1 << 13  # bytes of bits decoded at a time, so that their flags stay in the CPU cache

# Few and small intermediates: ONNX Runtime 1.31 keeps the result of every operator that it folds
# for as long as the model is loaded. `zeros` is shared by all weights of a size.
_DECODE = """
<opset_import: ["" : 23], domain: "lxcompress">
BitmaskDecode <shape> (mask, values, zeros, bits_of_byte) => (weight, positions) {
    byte = Cast <to = 6> (mask)
    bits_by_byte = Gather (bits_of_byte, byte)
    flat = Constant <value_ints = [-1]> ()
    bits = Reshape (bits_by_byte, flat)
    positions = NonZero (bits)
    flat_weight = ScatterElements <axis = 1> (zeros, positions, values)
    dimensions = Constant <value_ints : ints = @shape> ()
    weight = Reshape (flat_weight, dimensions)
}
"""


class Bitmask(Encoding):
    """The values of `inner` at the remaining positions of a weight of `shape`, and the bits."""

    NAME = "bitmask"
    SPARSE = True
    DECODED_AT_LOAD = True
    OPERATORS = frozenset({"NonZero", "ScatterElements", FUNCTION})

    def __init__(self, inner: Encoding, shape: tuple[int, ...]) -> None:
        self.inner, self.shape = inner, shape

    @classmethod
    def choose(cls, weight: Weight, variant: Variant, inner: Encoding) -> Encoding:
        """Return a bitmask for a pruned tensor of a sparse variant, where it takes fewer bytes."""
        if not variant.sparse or weight.remaining is None:
            return inner
        bitmask = cls(inner, weight.shape)
        encoded, plain = (
            sum(encoding.nbytes(weight.shape, weight.remaining).values())
            for encoding in (bitmask, inner)
        )
        return bitmask if encoded < plain else inner

    @classmethod
    def find(cls, model: ModelProto, found: MutableMapping[str, Encoding]) -> None:
        """Find the outputs of the decoding function."""
        for node in model.graph.node:
            if node.domain == DOMAIN and node.op_type == FUNCTION:
                name = node.output[0]
                shape = tuple(helper.get_node_attr_value(node, "shape"))
                values = found.pop(name + VALUES_SUFFIX, Dense())
                found.pop(name + MASK_SUFFIX, None)
                found[name] = cls(found.get(name, values), shape)

    @property
    def dtype(self) -> np.dtype:
        return self.inner.dtype

    @property
    def dense(self) -> Encoding:
        return self.inner

    def layer(self, encoding_type: type[Encoding]) -> Encoding | None:
        return self if encoding_type is Bitmask else self.inner.layer(encoding_type)

    def encode(
        self, name: str, weight: np.ndarray, keep: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Store bits `[ceil(n / 8)]` and values `[1, remaining]`.

        Raises:
            ModelError: a pruned weight is not +0, which is what decoding gives.
        """
        if keep is None:
            raise ValueError(f"{name} has no mask to encode it with")
        check_pruned(name, weight, keep)
        stored = self.inner.encode(name, weight)
        bits, values = compress(stored.pop(name), keep)
        return {**stored, name + MASK_SUFFIX: bits, name + VALUES_SUFFIX: values[None]}

    def kinds(self, name: str) -> dict[str, Kind]:
        stored = self.inner.kinds(name)
        del stored[name]
        return {**stored, name + MASK_SUFFIX: "mask", name + VALUES_SUFFIX: "values"}

    def unpack(self, name: str, read: Read) -> dict[str, np.ndarray]:
        bits, values = read(name + MASK_SUFFIX), read(name + VALUES_SUFFIX)
        weight = decompress(bits, values.reshape(-1), self.shape)
        return {
            tensor: weight if tensor == name else read(tensor) for tensor in self.inner.kinds(name)
        }

    def decode(self, name: str, read: Read) -> np.ndarray:
        return self.inner.decode(name, self.unpack(name, read).__getitem__)

    def read_mask(self, name: str, read: Read) -> np.ndarray:
        return packed_bits.unpack(read(name + MASK_SUFFIX), self.shape)

    def nbytes(self, shape: tuple[int, ...], remaining: int) -> dict[Kind, int]:
        sizes = self.inner.nbytes(shape, remaining)
        del sizes["unpruned"]
        return {
            **sizes,
            "mask": (math.prod(shape) + 7) // 8,
            "values": remaining * self.dtype.itemsize,
        }

    @classmethod
    def add_to(cls, model: ModelProto, layers: Mapping[str, Self]) -> None:
        """Add the local function, one call of it for each weight, and what the calls share."""
        add_decoders(model, {name: layer.shape for name, layer in layers.items()})

    @classmethod
    def remove_from(cls, model: ModelProto) -> None:
        """Remove the calls, what they share, and the function."""
        nodes = (
            node
            for node in model.graph.node
            if node.op_type != FUNCTION and not node.output[0].startswith(SHARED)
        )
        replace_all(model.graph.node, nodes)
        replace_all(model.functions, (f for f in model.functions if f.name != FUNCTION))


def check_pruned(name: str, weight: np.ndarray, keep: np.ndarray) -> None:
    """Raise ModelError unless each pruned element of a float32 weight is +0."""
    nonzero = int(np.count_nonzero(weight.view(np.uint32)[~keep]))  # as bits: -0 is not +0
    if nonzero:
        raise ModelError(f"{nonzero} pruned weights of {name} are not zero: it is no ticket")


def compress(weight: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bits and values of a weight; `keep` is bool of the same shape."""
    if weight.shape != keep.shape or keep.dtype != np.bool_:
        raise ValueError(f"keep must be bool {weight.shape}, not {keep.dtype} {keep.shape}")
    return packed_bits.pack(keep), weight[keep]


def decompress(bits: np.ndarray, values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the weight that `compress` was given, with +0 where pruned, in `values`' dtype.

    Raises:
        ValueError: bits, values and shape do not fit each other.
    """
    check(bits, values, shape)
    weight = np.zeros(math.prod(shape), values.dtype)
    first = 0
    for start in range(0, bits.size, _BLOCK):
        part = weight[8 * start : 8 * (start + _BLOCK)]
        keep = np.unpackbits(bits[start : start + _BLOCK], bitorder="little")
        # Four times as fast as indexing by bool: no branch for the processor to mispredict.
        positions = np.flatnonzero(keep.view(np.bool_))
        part[positions] = values[first : first + positions.size]
        first += positions.size
    return weight.reshape(shape)


def check(bits: np.ndarray, values: np.ndarray, shape: Sequence[int]) -> None:
    """Raise ValueError unless each element has a bit, and each bit that is 1 a value."""
    size = math.prod(shape)
    fits = bits.dtype == np.uint8 and bits.shape == ((size + 7) // 8,)
    if not fits or min(shape, default=0) < 0:
        raise ValueError(f"{bits.size} bytes of {bits.dtype} are not a bitmask of {list(shape)}")
    if size % 8 and bits[-1] >> (size % 8):
        raise ValueError(f"spare bits are set in a bitmask of {list(shape)}")
    remaining = int(np.bitwise_count(bits).sum(dtype=np.int64))
    if values.shape != (remaining,):
        raise ValueError(f"a bitmask keeps {remaining} weights, but {values.size} values are given")


def add_decoders(model: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Decode each weight of `shapes` from its bits and values, which `model` holds, in place."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    zeros: dict[tuple[int, int], str] = {}
    for name, shape in shapes.items():
        values = stored[name + VALUES_SUFFIX]
        size, kind = math.prod(shape), values.data_type
        zero = zeros.setdefault((size, kind), f"{SHARED}zeros.{kind}.{size}")
        positions = name + _POSITIONS_SUFFIX
        nodes.append(
            helper.make_node(
                FUNCTION,
                [name + MASK_SUFFIX, values.name, zero, _BITS],
                [name, positions],
                name=f"{name}.decode",
                domain=DOMAIN,
                shape=list(shape),
            )
        )
        # NonZero's size depends on its data. ONNX Runtime folds it only where it is declared.
        graph.value_info.append(
            helper.make_tensor_value_info(positions, TensorProto.INT64, list(values.dims))
        )
    shared = []
    for (size, kind), zero in zeros.items():
        shared.append(helper.make_node("Constant", [], [f"{zero}.shape"], value_ints=[1, size]))
        value = helper.make_tensor("zero", kind, [1], [0])
        shared.append(helper.make_node("ConstantOfShape", [f"{zero}.shape"], [zero], value=value))
    replace_all(graph.node, [*shared, *nodes, *graph.node])
    byte = np.arange(256, dtype=np.uint8)[:, None]
    bits = np.unpackbits(byte, axis=1, bitorder="little").astype(np.bool_)
    graph.initializer.append(numpy_helper.from_array(bits, _BITS))
    model.functions.append(onnx.parser.parse_function(_DECODE))
