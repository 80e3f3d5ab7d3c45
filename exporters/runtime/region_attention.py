"""A second output for a session: the attention of the answer over the regions.

The exported files output `logits` alone. The attention is computed from the queries, keys and mask
that one node of the graph reads anyway, so the logits do not change.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from exporters.encodings.int8 import weight_of
from exporters.graph.interface import CONSTANT
from lxcompress.errors import ModelError

REGION_ATTENTION = "region_attention"

# The queries come from the language side, whose [CLS] token becomes the answer.
_QUERY = re.compile(r"lxmert\.encoder\.x_layers\.(\d+)\.visual_attention\.att\.query\.weight")
# Of its output, which a layer without heads has too.
_BIAS = re.compile(r"lxmert\.encoder\.x_layers\.\d+\.visual_attention\.output\.dense\.bias")
_INTERNAL = f"{CONSTANT}{REGION_ATTENTION}."


def add_region_attention(model: ModelProto) -> None:
    """Add the output `region_attention`, `[batch, regions]` float32, to an exported model in place.

    It is the attention of the [CLS] token, from whose last state the answer is computed, over the
    regions in the last cross-modality layer that has heads, averaged over its heads. Each row sums
    to 1; masked regions have 0. With all layers and heads, it equals Hugging Face's
    `cross_encoder_attentions[-1][:, :, 0]`. A ticket without any such head never sees the regions:
    all have 0.

    `model` is of any precision, as `EncodedWeights.graph` returns it, also after `to_half`.

    Raises:
        ModelError: the graph has no such layer.
    """
    graph = model.graph
    graph.output.append(
        helper.make_tensor_value_info(REGION_ATTENTION, TensorProto.FLOAT, ["batch", "regions"])
    )
    attention = _last_cross_attention(list(graph.node))
    if attention is None:
        _add_zeros(model)
        return
    queries, keys, _, mask = attention.input
    heads = helper.get_node_attr_value(attention, "q_num_heads")

    def constant(name: str, values: list[int]) -> str:
        array = np.array(values, np.int64)
        graph.initializer.append(numpy_helper.from_array(array, _INTERNAL + name))
        return _INTERNAL + name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        name = output if output == REGION_ATTENTION else _INTERNAL + output
        graph.node.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def first(values: str, axis: int, output: str) -> str:
        """Select the first query, in float32."""
        kept = add(
            "Gather", [values, constant(f"{output}.index", [0])], f"{output}.kept", axis=axis
        )
        return add("Cast", [kept], output, to=TensorProto.FLOAT)

    split = constant("split", [0, 0, heads, -1])
    query = add("Reshape", [first(queries, 1, "query"), split], "query.heads")
    query = add("Transpose", [query], "query.transposed", perm=[0, 2, 1, 3])  # [B, heads, 1, d]
    key = add("Cast", [keys], "key", to=TensorProto.FLOAT)
    key = add("Reshape", [key, split], "key.heads")
    key = add("Transpose", [key], "key.transposed", perm=[0, 2, 3, 1])  # [B, heads, d, regions]
    # 1 / sqrt(d), with d read from the graph, which states the hidden size nowhere.
    size = add("Shape", [query], "size", start=3)
    root = add("Sqrt", [add("Cast", [size], "size.float", to=TensorProto.FLOAT)], "root")
    scores = add("Div", [add("MatMul", [query, key], "products"), root], "scores")
    scores = add("Add", [scores, first(mask, 2, "mask")], "masked")
    shares = add("Softmax", [scores], "shares", axis=-1)
    add("ReduceMean", [shares, constant("over", [1, 2])], REGION_ATTENTION, keepdims=0)


def _add_zeros(model: ModelProto) -> None:
    zero = f"{_INTERNAL}zero"
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.int64), zero))
    integers = f"{_INTERNAL}zeros"
    model.graph.node.append(helper.make_node("Mul", ["visual_attention_mask", zero], [integers]))
    cast = helper.make_node("Cast", [integers], [REGION_ATTENTION], to=TensorProto.FLOAT)
    model.graph.node.append(cast)


def _last_cross_attention(nodes: list[NodeProto]) -> NodeProto | None:
    """Return the node of the last layer that has heads; None without any heads."""
    found: dict[int, NodeProto] = {}
    for node in nodes:
        match = _QUERY.fullmatch(weight_of(node))
        if match:
            # Other layers use the matrix a second time, for vision attending to language.
            found.setdefault(int(match[1]), node)
    if not found:
        if not any(_BIAS.fullmatch(name) for node in nodes for name in node.input):
            raise ModelError("the graph has no cross-modality layer")
        return None
    projected = found[max(found)].output[0]
    (bias,) = [node for node in nodes if projected in node.input]
    (attention,) = [node for node in nodes if bias.output[0] in node.input]
    if attention.op_type != "Attention" or attention.input[0] != bias.output[0]:
        raise ModelError("the last cross-modality layer is not as `lxcompress export` writes it")
    return attention
