"""Names in the graph of every exported file: inputs, output, constants, operators with weights."""

from __future__ import annotations

from onnx import ModelProto

INPUTS = {
    "input_ids": ("batch", "tokens"),
    "attention_mask": ("batch", "tokens"),
    "token_type_ids": ("batch", "tokens"),
    "visual_feats": ("batch", "regions"),
    "visual_pos": ("batch", "regions"),
    "visual_attention_mask": ("batch", "regions"),
}
"""Inputs with their dynamic axes, which come first; feature size and 4 coordinates are fixed."""

OUTPUT = "logits"

OPSET = 23  # the first with Attention

CONSTANT = "graph."  # prefix of the graph's own constants, to tell them from weights

WEIGHT_INPUT = {"MatMul": 1, "Gather": 0}
"""Operators that read a matrix or a table, and the index of that input."""


def inputs_of(model: ModelProto, operator: str) -> frozenset[str]:
    """Return what the nodes of an `operator` of `WEIGHT_INPUT` read as their weight."""
    index = WEIGHT_INPUT[operator]
    return frozenset(node.input[index] for node in model.graph.node if node.op_type == operator)
