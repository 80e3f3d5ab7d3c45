"""Builds an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, ValueInfoProto, helper, numpy_helper


class GraphBuilder:
    """Nodes and initializers in the order in which they are added; values are names."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._arrays: dict[str, np.ndarray] = {}

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its output, the last one if it has several."""
        names = [f"{operator}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[-1]

    def output(self, index: int) -> str:
        """The name of an output of the node that was added last."""
        return self.nodes[-1].output[index]

    def weight(self, name: str, array: np.ndarray) -> str:
        """Add an initializer; the same name again is the same weight."""
        self._arrays.setdefault(name, np.array(array, order="C"))
        return name

    def floats(self, *values: float) -> str:
        """A constant float32 `[len(values)]`."""
        return self._constant(np.array(values, np.float32))

    def ints(self, *values: int) -> str:
        """A constant int64 `[len(values)]`."""
        return self._constant(np.array(values, np.int64))

    def scalar(self, value: float | int) -> str:
        """A constant without dimensions, int64 for an int, else float32."""
        return self._constant(np.array(value, np.int64 if isinstance(value, int) else np.float32))

    def column(self, values: str, index: int) -> str:
        """`values[:, index]` of a matrix."""
        return self("Gather", values, self.scalar(index), axis=1)

    def size(self, values: str, axis: int) -> str:
        """The length of one dimension, int64 `[1]`."""
        return self("Shape", values, start=axis, end=axis + 1)

    def choose(self, condition: str, first: str, second: str) -> str:
        """`first` if a boolean `[1]` is true, else `second`; they may differ in shape."""
        branches = {}
        for key, name in (("then_branch", first), ("else_branch", second)):
            out = f"{key}_{len(self.nodes)}"
            node = helper.make_node("Identity", [name], [out])
            value = helper.make_tensor_value_info(out, helper.TensorProto.INT64, [None])
            branches[key] = helper.make_graph([node], key, [], [value])
        return self("If", condition, **branches)

    def graph(
        self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> GraphProto:
        """Return the graph."""
        arrays = [numpy_helper.from_array(array, name) for name, array in self._arrays.items()]
        return helper.make_graph(self.nodes, name, list(inputs), list(outputs), arrays)

    def rename(self, value: str, name: str) -> str:
        """Give a value another name, that of an output."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        return name

    def _constant(self, array: np.ndarray) -> str:
        text = "_".join(map(str, array.ravel().tolist()))
        return self.weight(f"constant_{array.dtype}_{array.ndim}_{text}", array)
