"""Trace LXMERT to an ONNX graph without weights.

PyTorch's exporter traces the model on the meta device, so no memory is needed for weights. Weights
keep their Hugging Face names. The matrices of linear layers are stored as `[in, out]`, the
transpose of PyTorch's, because that is what MatMul reads.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import onnx_ir
import onnxscript.optimizer
import torch
from onnx import ModelProto
from torch import nn
from torch.export import Dim
from transformers import LxmertConfig, LxmertForQuestionAnswering

from exporters.graph.interface import CONSTANT, INPUTS, OPSET, OUTPUT, inputs_of
from lxcompress.model.attention import FastAttention, use_fast_attention
from lxcompress.model.compact import remove_units
from lxcompress.model.sublayers import sublayers
from lxcompress.model.unused_branch import skip_unused_branch

_WRAPPER = "model."


@dataclass(frozen=True)
class Graph:
    """A traced model.

    model: the computation; it lacks the initializers named in `weights`.
    weights: shape in the graph of each weight, by name.
    matrices: the weights of linear layers, `[in, out]`.
    tables: the weights of embeddings, `[rows, size]`.
    """

    model: ModelProto
    weights: dict[str, tuple[int, ...]]
    matrices: frozenset[str]
    tables: frozenset[str]


def build_graph(config: LxmertConfig, units: Mapping[str, int] | None = None) -> Graph:
    """Trace a question-answering LXMERT of this architecture in fp32.

    units: how many heads or neurons remain in a sublayer, by its name; the others keep all.

    Inputs, output and dynamic axes are those of `exporters.graph.interface`. Each attention is one
    Attention node. What no answer depends on (`unreachable_parameters`) is left out.
    """
    with torch.device("meta"):
        model = LxmertForQuestionAnswering(config).eval()
        inputs = _example(config)
    _prepare(model, units or {})
    with _quiet():
        program = torch.onnx.export(
            Logits(model),
            inputs,
            dynamo=True,
            optimize=False,
            verbose=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=dynamic_axes(),
        )
        assert program is not None
        weights = _without_weights(program.model)
    proto = onnx_ir.to_proto(program.model)
    _strip(proto, weights)
    return Graph(
        model=proto,
        weights=weights,
        matrices=inputs_of(proto, "MatMul") & weights.keys(),
        tables=inputs_of(proto, "Gather") & weights.keys(),
    )


class Logits(nn.Module):
    """LXMERT with the inputs and the output of an exported file (`exporters.graph.interface`)."""

    def __init__(self, model: LxmertForQuestionAnswering) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
        visual_feats: torch.Tensor,
        visual_pos: torch.Tensor,
        visual_attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        return self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            visual_feats=visual_feats,
            visual_pos=visual_pos,
            visual_attention_mask=visual_attention_mask,
        ).question_answering_score


class _OnnxAttention(FastAttention):
    """Attention as one ONNX Attention node, which splits the heads itself."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        context: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        if attention_mask is not None:
            # ONNX Runtime's CPU kernel does not broadcast the mask over queries.
            attention_mask = attention_mask.expand(-1, -1, hidden_states.shape[1], -1)
        heads = self.num_attention_heads
        attended, *_ = torch.onnx.ops.attention(
            self.query(hidden_states),
            self.key(context),
            self.value(context),
            attention_mask,
            q_num_heads=heads,
            kv_num_heads=heads,
        )
        return (attended,)


class _MatMulLinear(nn.Linear):
    """A linear layer whose weight is `[in, out]`, so that the graph needs no Transpose."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values @ self.weight + self.bias


def _prepare(model: LxmertForQuestionAnswering, units: Mapping[str, int]) -> None:
    first = {
        layer.name: torch.arange(layer.units) < units.get(layer.name, layer.units)
        for layer in sublayers(model)
    }
    remove_units(model, first)
    use_fast_attention(model)
    skip_unused_branch(model)
    for module in model.modules():
        if type(module) is FastAttention:
            module.__class__ = _OnnxAttention
        elif type(module) is nn.Linear:
            module.__class__ = _MatMulLinear
            module.weight = nn.Parameter(module.weight.T)


def _example(config: LxmertConfig) -> tuple[torch.Tensor, ...]:
    """Return inputs of two questions; torch.export wants dynamic axes of distinct sizes above 1."""
    tokens, regions = (2, 7), (2, 5)
    return (
        torch.zeros(tokens, dtype=torch.int64),
        torch.zeros(tokens, dtype=torch.int64),
        torch.zeros(tokens, dtype=torch.int64),
        torch.zeros(*regions, config.visual_feat_dim),
        torch.zeros(*regions, 4),
        torch.zeros(regions, dtype=torch.int64),
    )


def dynamic_axes() -> dict[str, dict[int, Dim]]:
    """Return the axes that are dynamic, by input and index, as torch.export takes them."""
    axes = {axis: Dim(axis) for names in INPUTS.values() for axis in names}
    return {
        name: {index: axes[axis] for index, axis in enumerate(names)}
        for name, names in INPUTS.items()
    }


def _without_weights(model: onnx_ir.Model) -> dict[str, tuple[int, ...]]:
    """Optimise the graph with its weights as inputs, so that none is folded, merged or renamed."""
    graph = model.graph
    weights = list(graph.initializers.values())
    graph.initializers.clear()
    for weight in weights:
        weight.const_value = None
        weight.name = str(weight.name).removeprefix(_WRAPPER)
        graph.inputs.append(weight)
    onnxscript.optimizer.optimize_ir(model)
    used = {value.name for node in graph for value in node.inputs if value is not None}
    return {
        str(weight.name): tuple(weight.shape.numpy())
        for weight in weights
        if weight.name in used and weight.shape is not None
    }


def _strip(model: ModelProto, weights: dict[str, tuple[int, ...]]) -> None:
    """Remove the weights from the inputs, and everything that says where a node came from.

    The graph's own constants get the prefix `graph.`, to tell them from weights.
    """
    graph = model.graph
    inputs = [value for value in graph.input if value.name in INPUTS]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]
    del model.metadata_props[:]
    constants = {tensor.name: f"{CONSTANT}{tensor.name}" for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.name = constants[tensor.name]
    for node in graph.node:
        node.input[:] = [constants.get(name, name) for name in node.input]
    for item in (*graph.node, *graph.input, *graph.output, graph):
        item.doc_string = ""
        del item.metadata_props[:]
    graph.name = "lxmert"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, whose warnings are about operators of other libraries."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
