"""The weights inside an exported file, whatever their encoding, one at a time."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper

from exporters.encodings import bitmask, int8
from exporters.graph.interface import CONSTANT
from exporters.graph.onnx_file import OnnxFile
from lxcompress.errors import ModelError
from lxcompress.pruning.packed_bits import unpack


class Weights:
    """`names` of all weights of `file`; matrices of linear layers are `[in, out]`.

    Raises ModelError when a part of an encoded weight is missing.
    """

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._quantized: set[str] = set()
        self._matrices: set[str] = set()
        for node in file.model.graph.node:
            if node.op_type in ("MatMul", int8.MATMUL):
                self._matrices.add(int8.weight_of(node))
            if node.domain == bitmask.DOMAIN and node.op_type == bitmask.FUNCTION:
                self._shapes[node.output[0]] = tuple(helper.get_node_attr_value(node, "shape"))
            elif node.domain == bitmask.DOMAIN and node.op_type in int8.DENSE_FORM:
                self._quantized.add(int8.weight_of(node))
        parts = {
            *(name + bitmask.MASK_SUFFIX for name in self._shapes),
            *(name + bitmask.VALUES_SUFFIX for name in self._shapes),
            *(name + int8.SCALE_SUFFIX for name in self._quantized),
        }
        if parts - file.tensors.keys():
            raise ModelError(f"{file.path} is damaged: it lacks {min(parts - file.tensors.keys())}")
        self._matrices &= self._shapes.keys() | file.tensors.keys()
        internal = (CONSTANT, bitmask.SHARED)
        dense = [
            name for name in file.tensors if name not in parts and not name.startswith(internal)
        ]
        self.names = [*self._shapes, *dense]

    @property
    def encoded(self) -> list[str]:
        """Names of the weights that are stored as bitmask and values."""
        return list(self._shapes)

    def stored(self, name: str) -> np.ndarray:
        """A weight (or the scales of one) in the precision of the file."""
        if name not in self._shapes:
            return self.file.array(name)
        bits = self.file.array(name + bitmask.MASK_SUFFIX)
        values = self.file.array(name + bitmask.VALUES_SUFFIX).reshape(-1)
        try:
            return bitmask.decode(bits, values, self._shapes[name])
        except ModelError as problem:
            raise ModelError(f"{self.file.path} is damaged: {name}: {problem}") from None

    def value(self, name: str) -> np.ndarray:
        """A weight as the numbers that it stands for, float32 or float16."""
        weight = self.stored(name)
        if name not in self._quantized:
            return weight
        return int8.dequantize(weight, self.file.array(name + int8.SCALE_SUFFIX))

    def stands_for(self, name: str, parameter: np.ndarray) -> bool:
        """Whether a weight is, to the bit, a float32 parameter in the precision of the file."""
        expected = np.ascontiguousarray(self.as_in_model(name, parameter))
        stored = self.stored(name)
        if name in self._quantized:
            expected, scale = int8.quantize(expected, 0 if name in self._matrices else 1)
            if not np.array_equal(scale, self.file.array(name + int8.SCALE_SUFFIX)):
                return False
        return stored.tobytes() == expected.astype(stored.dtype).tobytes()

    def kept(self, name: str) -> np.ndarray:
        """Where an encoded weight stays: bool, in its shape."""
        return unpack(self.file.array(name + bitmask.MASK_SUFFIX), self._shapes[name])

    def as_in_model(self, name: str, array: np.ndarray) -> np.ndarray:
        """An array of a weight's shape, in the layout of the PyTorch model's parameter."""
        return array.T if name in self._matrices else array

    def plain(self, *, dequantize: bool) -> tuple[ModelProto, list[str]]:
        """The computation without encodings, and which of its initializers are left to fill in.

        With `dequantize`, int8 weights are to be filled in as what they stand for (`value`); else
        as they are (`stored`), with their scales, and are multiplied as integers.
        """
        model = ModelProto()
        model.CopyFrom(self.file.model)
        graph = model.graph
        nodes = []
        for node in graph.node:
            if node.domain == bitmask.DOMAIN and node.op_type in int8.DENSE_FORM:
                nodes.append(int8.dense_form(node) if dequantize else node)
            elif node.domain != bitmask.DOMAIN and not node.output[0].startswith(bitmask.SHARED):
                nodes.append(node)
        constants = [tensor for tensor in graph.initializer if tensor.name.startswith(CONSTANT)]
        functions = [f for f in model.functions if f.name in int8.DENSE_FORM and not dequantize]
        for field in (graph.node, graph.initializer, graph.value_info, model.functions):
            del field[:]
        graph.node.extend(nodes)
        graph.initializer.extend(constants)
        model.functions.extend(functions)
        scales = [] if dequantize else [name + int8.SCALE_SUFFIX for name in self._quantized]
        return model, [*self.names, *sorted(scales)]
