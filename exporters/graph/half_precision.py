"""Convert a graph to half precision."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

HALF_MAX = float(np.finfo(np.float16).max)


def to_half(model: ModelProto) -> ModelProto:
    """Return a copy of a float32 graph that computes in float16, with float32 inputs and outputs.

    Constants outside the range of float16 (the attention mask's -3.4e38) are clipped to it, because
    infinity times 0 is NaN. LayerNormalization still computes in float32 (`stash_type`).
    """
    half = ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).clip(-HALF_MAX, HALF_MAX).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if (
                node.op_type == "Cast"
                and attribute.name == "to"
                and attribute.i == TensorProto.FLOAT
            ):
                attribute.i = TensorProto.FLOAT16
    inside = {
        value.name: f"{value.name}.half"
        for value in (*graph.input, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    for node in graph.node:
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
    inputs = {value.name for value in graph.input}
    for name, half_name in inside.items():
        if name in inputs:
            cast = helper.make_node("Cast", [name], [half_name], to=TensorProto.FLOAT16)
            graph.node.insert(0, cast)
        else:
            graph.node.append(helper.make_node("Cast", [half_name], [name], to=TensorProto.FLOAT))
    return half
