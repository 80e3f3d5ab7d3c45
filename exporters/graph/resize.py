"""Change the number of heads and neurons of a traced graph, without tracing it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnx import GraphProto, ModelProto, NodeProto

from exporters.graph.trace import Graph
from lxcompress.model.sublayers import Sublayer

_HEADS = ("q_num_heads", "kv_num_heads")  # attributes of an Attention node
_QUERY = ".query.weight"


def resize(graph: Graph, units: Mapping[Sublayer, int]) -> Graph:
    """Return the graph that tracing with so many heads or neurons would give.

    units: at least 1; the other sublayers keep theirs. Without any unit a sublayer is computed by
        other nodes, and has to be traced.
    """
    if min(units.values(), default=1) < 1:
        raise ValueError("a sublayer without units has to be traced")
    model, weights = ModelProto(), dict(graph.weights)
    model.CopyFrom(graph.model)
    for layer, count in units.items():
        size = count * layer.width
        for name, dimension in layer.weights.items():
            shape = list(weights[name])  # [in, out], PyTorch's transpose
            shape[1 - dimension] = size
            weights[name] = tuple(shape)
        for name in layer.biases:
            weights[name] = (size,)
    by_query = {f"{layer.name}{_QUERY}": count for layer, count in units.items()}
    for node in model.graph.node:
        if node.op_type == "Attention":
            _set_heads(node, by_query.get(_query_of(node, model.graph)))
    return replace(graph, model=model, weights=weights)


def _query_of(attention: NodeProto, graph: GraphProto) -> str:
    """Return the name of the weight that an Attention node's queries are computed with."""
    producers = {output: node for node in graph.node for output in node.output}
    name = attention.input[0]
    while True:
        node = producers[name]
        for weight in node.input:
            if weight.endswith(_QUERY):
                return weight
        name = next(value for value in node.input if value in producers)


def _set_heads(attention: NodeProto, count: int | None) -> None:
    for attribute in attention.attribute:
        if count is not None and attribute.name in _HEADS:
            attribute.i = count
