"""int8 weights: one scale for each output of a matrix, or each row of a table.

`weight ≈ scale * int8`, symmetric, so that a pruned weight stays exactly zero. Weights use 7 of the
8 bits (±63): x86 processors without VNNI add two products of a uint8 and an int8 in 16 bits, and
the full range would overflow there (ONNX Runtime's documentation, "Quantization", U8S8).
Activations are quantized to uint8 while the model runs, as by ONNX Runtime's dynamic quantization.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import FunctionProto, NodeProto
from onnx.helper import make_node

from exporters.encodings.bitmask import DOMAIN

MATMUL, GATHER = "QuantizedMatMul", "QuantizedGather"
DENSE_FORM = {MATMUL: "MatMul", GATHER: "Gather"}
SCALE_SUFFIX = ".scale"
_LIMIT = 63

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


def quantize(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 of `weight`'s shape and the float32 scales that `weight` is divided by.

    `axis` is the one over which a scale holds: 0 for a matrix `[in, out]` (scale `[out]`), 1 for a
    table `[rows, size]` (scale `[rows, 1]`).
    """
    largest = np.abs(weight).max(axis=axis, keepdims=axis == 1)
    scale = np.maximum(largest / _LIMIT, np.finfo(np.float32).tiny)  # not rounded to 0 either
    scale = np.where(largest > 0, scale, 1).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def dequantize(quantized: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float32 weights of what `quantize` gave."""
    return quantized * scale


def quantized_functions() -> list[FunctionProto]:
    """The integer matrix product and the table look-up as local functions (opset 23)."""
    return [onnx.parser.parse_function(text) for text in _FUNCTIONS]


def integer_form(node: NodeProto) -> NodeProto:
    """The MatMul or Gather of a weight, as a call of its integer form."""
    function = next(name for name, form in DENSE_FORM.items() if form == node.op_type)
    inputs = [*node.input, weight_of(node) + SCALE_SUFFIX]
    return make_node(function, inputs, node.output, name=node.name, domain=DOMAIN)


def dense_form(node: NodeProto) -> NodeProto:
    """What `integer_form` was given."""
    return make_node(DENSE_FORM[node.op_type], node.input[:2], node.output, name=node.name)


def weight_of(node: NodeProto) -> str:
    """The name of the weight that a MatMul or Gather reads, in either form."""
    return node.input[1 if node.op_type in ("MatMul", MATMUL) else 0]
