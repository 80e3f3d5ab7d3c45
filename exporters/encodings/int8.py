"""The int8 encoding: one scale for each output of a matrix, or for each row of a table.

`weight ≈ scale * int8`, symmetric, so a pruned weight stays exactly zero. Weights use 7 of the
8 bits (±63): x86 processors without VNNI add two products of a uint8 and an int8 in 16 bits, which
the full range would overflow (ONNX Runtime's documentation, "Quantization", U8S8). The graph
quantizes activations to uint8 when it runs, as in ONNX Runtime's dynamic quantization.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Literal, Self

import numpy as np
import onnx
from onnx import FunctionProto, ModelProto, NodeProto
from onnx.helper import make_node

from exporters.encodings.base import DOMAIN, Encoding, Kind, Read, Weight, replace_all
from exporters.graph.interface import WEIGHT_INPUT
from exporters.variants import Variant
from lxcompress.errors import ModelError

MATMUL, GATHER = "QuantizedMatMul", "QuantizedGather"
SCALE_SUFFIX = ".scale"

_FLOAT_FORM = {MATMUL: "MatMul", GATHER: "Gather"}
_INT8_FORM = {float_form: function for function, float_form in _FLOAT_FORM.items()}
_LIMIT = 63
_SCALE_BYTES = 4

_FUNCTIONS = (
    """
    <opset_import: ["" : 23], domain: "lxcompress">
    QuantizedMatMul (x, weight, scale) => (y) {
        quantized, x_scale, x_zero_point = DynamicQuantizeLinear (x)
        products = MatMulInteger (quantized, weight, x_zero_point)
        sums = Cast <to = 1> (products)
        unit = Mul (x_scale, scale)
        y = Mul (sums, unit)
    }
    """,
    """
    <opset_import: ["" : 23], domain: "lxcompress">
    QuantizedGather (table, indices, scale) => (rows) {
        quantized = Gather (table, indices)
        row_scale = Gather (scale, indices)
        values = Cast <to = 1> (quantized)
        rows = Mul (values, row_scale)
    }
    """,
)


class Int8(Encoding):
    """int8 under the weight's own name, and its float32 scales.

    axis: the one that a scale covers: 0 for a matrix `[in, out]` (scales `[out]`), 1 for a table
    `[rows, size]` (scales `[rows, 1]`).
    """

    NAME = "int8"

    def __init__(self, axis: Literal[0, 1]) -> None:
        self.axis = axis

    @classmethod
    def choose(cls, weight: Weight, variant: Variant, inner: Encoding) -> Encoding:
        """Return int8 for the matrices and tables of an int8 variant; vectors remain float32."""
        if variant.precision != "int8" or weight.role == "vector":
            return inner
        return cls(0 if weight.role == "matrix" else 1)

    @classmethod
    def find(cls, model: ModelProto, found: MutableMapping[str, Encoding]) -> None:
        """Find the weights of quantized operators."""
        for node in model.graph.node:
            if node.domain == DOMAIN and node.op_type in _FLOAT_FORM:
                name = weight_of(node)
                found[name] = cls(0 if node.op_type == MATMUL else 1)
                found.pop(name + SCALE_SUFFIX, None)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int8)

    def encode(
        self, name: str, weight: np.ndarray, keep: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Store scales and quantized values.

        Raises:
            ModelError: an element is NaN or infinite.
        """
        if not np.isfinite(weight).all():
            raise ModelError(f"{name} has weights that are NaN or infinite")
        quantized, scale = quantize(weight, self.axis)
        return {name + SCALE_SUFFIX: scale, name: quantized}

    def kinds(self, name: str) -> dict[str, Kind]:
        return {name + SCALE_SUFFIX: "scales", name: "unpruned"}

    def decode(self, name: str, read: Read) -> np.ndarray:
        return dequantize(read(name), read(name + SCALE_SUFFIX))

    def nbytes(self, shape: tuple[int, ...], remaining: int) -> dict[Kind, int]:
        return {"unpruned": math.prod(shape), "scales": _SCALE_BYTES * shape[1 - self.axis]}

    @classmethod
    def add_to(cls, model: ModelProto, layers: Mapping[str, Self]) -> None:
        """Replace each MatMul and Gather of these weights by its quantized form."""
        nodes = (
            quantized_form(node)
            if node.op_type in _INT8_FORM and weight_of(node) in layers
            else node
            for node in model.graph.node
        )
        replace_all(model.graph.node, nodes)
        model.functions.extend(quantized_functions())

    @classmethod
    def remove_from(cls, model: ModelProto) -> None:
        """Put back MatMul and Gather, which read decoded weights."""
        nodes = (
            float_form(node) if node.domain == DOMAIN and node.op_type in _FLOAT_FORM else node
            for node in model.graph.node
        )
        replace_all(model.graph.node, nodes)
        replace_all(model.functions, (f for f in model.functions if f.name not in _FLOAT_FORM))


def quantize(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 of `weight`'s shape and its float32 scales; `axis` as in `Int8`."""
    largest = np.abs(weight).max(axis=axis, keepdims=axis == 1)
    scale = np.maximum(largest / _LIMIT, np.finfo(np.float32).tiny)  # a subnormal could round to 0
    scale = np.where(largest > 0, scale, 1).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def dequantize(quantized: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the float32 weights that `quantize` approximated."""
    return quantized * scale


def quantized_functions() -> list[FunctionProto]:
    """Return the integer matrix product and the table look-up as local functions (opset 23)."""
    return [onnx.parser.parse_function(text) for text in _FUNCTIONS]


def quantized_form(node: NodeProto) -> NodeProto:
    """Return the call that replaces the MatMul or Gather of a weight."""
    inputs = [*node.input, weight_of(node) + SCALE_SUFFIX]
    return make_node(_INT8_FORM[node.op_type], inputs, node.output, name=node.name, domain=DOMAIN)


def float_form(node: NodeProto) -> NodeProto:
    """Return the MatMul or Gather that `quantized_form` was given."""
    return make_node(_FLOAT_FORM[node.op_type], node.input[:2], node.output, name=node.name)


def weight_of(node: NodeProto) -> str:
    """Return what a MatMul or Gather, in either form, reads as its weight; "" for other nodes."""
    operator = _FLOAT_FORM.get(node.op_type, node.op_type)
    return node.input[WEIGHT_INPUT[operator]] if operator in WEIGHT_INPUT else ""
