"""The bitmask encoding: one bit for each weight of a pruned tensor, and the weights that are left.

    bits    uint8 [ceil(n / 8)], bit i % 8 of byte i // 8 (least significant first) is 1 when
            element i (row-major) stays; spare bits of the last byte are 0
    values  the elements that stay, in row-major order

That is `n / 8 + 4 kept` bytes in fp32, where CSR needs `8 kept` and more. In ONNX the same is
decoded by standard operators, written as one local function. Its inputs are constants and its
shapes are declared, so ONNX Runtime computes it once, when a model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor, make_tensor_value_info

from lxcompress.errors import ModelError
from lxcompress.pruning.packed_bits import pack

DOMAIN = "lxcompress"
FUNCTION = "BitmaskDecode"
MASK_SUFFIX, VALUES_SUFFIX, POSITIONS_SUFFIX = ".mask", ".values", ".positions"

SHARED = "lxcompress."  # how the names begin of what all decoders share
_BITS = f"{SHARED}bits_of_byte"
_BLOCK = 1 << 13  # bytes of bits at a time: what they unpack to stays in the processor's cache

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


def encode(weight: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`bits` and `values` of a weight, given a bool `keep` of the same shape."""
    if weight.shape != keep.shape or keep.dtype != np.bool_:
        raise ValueError(f"keep must be bool {weight.shape}, not {keep.dtype} {keep.shape}")
    return pack(keep), weight[keep]


def decode(bits: np.ndarray, values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The weight that `encode` was given, with +0 where it was pruned; `values`' dtype.

    Raises ModelError when bits, values and shape do not belong together.
    """
    check(bits, values, shape)
    weight = np.zeros(math.prod(shape), values.dtype)
    first = 0
    for start in range(0, bits.size, _BLOCK):
        part = weight[8 * start : 8 * (start + _BLOCK)]
        keep = np.unpackbits(bits[start : start + _BLOCK], bitorder="little")
        # Four times as fast as indexing by bool: no branch for the processor to mispredict.
        kept = np.flatnonzero(keep.view(np.bool_))
        part[kept] = values[first : first + kept.size]
        first += kept.size
    return weight.reshape(shape)


def check(bits: np.ndarray, values: np.ndarray, shape: Sequence[int]) -> None:
    """ModelError unless `bits` has one bit for each element and `values` one entry for each 1."""
    size = math.prod(shape)
    fits = bits.dtype == np.uint8 and bits.shape == ((size + 7) // 8,)
    if not fits or min(shape, default=0) < 0:
        raise ModelError(f"{bits.size} bytes of {bits.dtype} are no bitmask of {list(shape)}")
    if size % 8 and bits[-1] >> (size % 8):
        raise ModelError(f"spare bits are set in a bitmask of {list(shape)}")
    kept = int(np.bitwise_count(bits).sum(dtype=np.int64))
    if values.shape != (kept,):
        raise ModelError(f"a bitmask keeps {kept} weights, but {values.size} are given")


def add_decoders(model: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Make each weight of `shapes` of its bits and values (`initializers`), in place.

    Adds the local function, one call of it for each weight, and what the calls share.
    """
    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    zeros: dict[tuple[int, int], str] = {}
    for name, shape in shapes.items():
        values = held[name + VALUES_SUFFIX]
        size, kind = math.prod(shape), values.data_type
        zero = zeros.setdefault((size, kind), f"{SHARED}zeros.{kind}.{size}")
        positions = name + POSITIONS_SUFFIX
        nodes.append(
            make_node(
                FUNCTION,
                [name + MASK_SUFFIX, values.name, zero, _BITS],
                [name, positions],
                name=f"{name}.decode",
                domain=DOMAIN,
                shape=list(shape),
            )
        )
        # NonZero's size depends on its data. Only where it is declared does ONNX Runtime fold it.
        graph.value_info.append(
            make_tensor_value_info(positions, TensorProto.INT64, list(values.dims))
        )
    shared = []
    for (size, kind), zero in zeros.items():
        shared.append(make_node("Constant", [], [f"{zero}.shape"], value_ints=[1, size]))
        value = make_tensor("zero", kind, [1], [0])
        shared.append(make_node("ConstantOfShape", [f"{zero}.shape"], [zero], value=value))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*shared, *nodes, *rest])
    byte = np.arange(256, dtype=np.uint8)[:, None]
    bits = np.unpackbits(byte, axis=1, bitorder="little").astype(np.bool_)
    graph.initializer.append(numpy_helper.from_array(bits, _BITS))
    model.functions.append(onnx.parser.parse_function(_DECODE))


def initializers(name: str, weight: np.ndarray, keep: np.ndarray) -> list[TensorProto]:
    """What a call reads: uint8 bits `[ceil(n / 8)]` and values `[1, kept]`."""
    bits, values = encode(weight, keep)
    return [
        numpy_helper.from_array(bits, name + MASK_SUFFIX),
        numpy_helper.from_array(values[None], name + VALUES_SUFFIX),
    ]
