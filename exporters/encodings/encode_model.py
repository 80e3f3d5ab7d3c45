"""Graph and weights put together as the ONNX model of a variant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from transformers import LxmertConfig, PreTrainedTokenizerBase

import lxcompress
from exporters.encodings import bitmask
from exporters.encodings.int8 import (
    DENSE_FORM,
    SCALE_SUFFIX,
    integer_form,
    quantize,
    quantized_functions,
    weight_of,
)
from exporters.graph.half_precision import HALF_MAX, to_half
from exporters.graph.onnx_file import SEAL, seal
from exporters.graph.trace import Graph
from exporters.variants import Variant
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.pruning.mask import Mask

_FUNCTION_OPSET = 1


@dataclass(frozen=True)
class Answerer:
    """What an ONNX file must know to answer a question in words."""

    labels: list[str]
    tokenizer: str  # as JSON of the `tokenizers` library, which cuts and pads as it should
    max_tokens: int

    @classmethod
    def of(
        cls, config: LxmertConfig, tokenizer: PreTrainedTokenizerBase, max_tokens: int
    ) -> Answerer:
        """That of a model and its tokenizer."""
        rules = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        rules.enable_truncation(max_tokens)
        rules.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=str(tokenizer.pad_token))
        return cls(labels_of(config), rules.to_str(), max_tokens)


def assemble(
    graph: Graph,
    parameters: Mapping[str, torch.Tensor],
    variant: Variant,
    answerer: Answerer,
    mask: Mask | None = None,
) -> ModelProto:
    """The complete model of `variant`; `parameters` are the model's, by their Hugging Face names.

    A sparse variant takes a `mask`, and drops nothing but exact (positive) zeros. Raises ModelError
    when a pruned weight is not that, or a weight does not fit fp16.
    """
    if variant.sparse and mask is None:
        raise ValueError(f"{variant.name} needs a mask")
    model = to_half(graph.model) if variant.precision == "fp16" else copy(graph.model)
    model.producer_name, model.producer_version = "lxcompress", lxcompress.__version__
    coded = _Coder(graph, parameters, variant, mask)
    for name in graph.weights:
        model.graph.initializer.extend(coded.initializers(name))
    if variant.precision == "int8":
        _use_integers(model, graph)
    if variant.sparse:
        sparse = {name: shape for name, shape in graph.weights.items() if coded.is_sparse(name)}
        bitmask.add_decoders(model, sparse)
    if model.functions:
        model.opset_import.append(helper.make_opsetid(bitmask.DOMAIN, _FUNCTION_OPSET))
    _describe(model, variant, answerer, mask, parameters)
    return model


def copy(model: ModelProto) -> ModelProto:
    """An equal model that can be changed."""
    fresh = ModelProto()
    fresh.CopyFrom(model)
    return fresh


class _Coder:
    """Each weight as the tensors that stand for it in the file."""

    def __init__(
        self,
        graph: Graph,
        parameters: Mapping[str, torch.Tensor],
        variant: Variant,
        mask: Mask | None,
    ) -> None:
        self.graph, self.parameters, self.variant = graph, parameters, variant
        self.kept = dict(mask.items()) if mask is not None and variant.sparse else {}

    def is_sparse(self, name: str) -> bool:
        return name in self.kept

    def initializers(self, name: str) -> Iterator[TensorProto]:
        weight = self._in_graph(self.parameters[name].detach().cpu(), name)
        if weight.shape != self.graph.weights[name]:
            raise ModelError(f"{name} is {weight.shape}, the graph's {self.graph.weights[name]}")
        keep = None
        if self.is_sparse(name):
            keep = self._in_graph(self.kept[name].cpu(), name)
            _check_zeros(name, weight, keep)
        if self.variant.precision == "fp16":
            weight = _half(name, weight)
        elif self.variant.precision == "int8":
            axis = 0 if name in self.graph.matrices else 1 if name in self.graph.tables else None
            if not np.isfinite(weight).all():
                raise ModelError(f"{name} has weights that are no numbers (NaN or infinity)")
            if axis is not None:
                weight, scale = quantize(weight, axis)
                yield numpy_helper.from_array(scale, name + SCALE_SUFFIX)
        if keep is None:
            yield numpy_helper.from_array(weight, name)
        else:
            yield from bitmask.initializers(name, weight, keep)

    def _in_graph(self, tensor: torch.Tensor, name: str) -> np.ndarray:
        array = tensor.numpy()
        return np.ascontiguousarray(array.T if name in self.graph.matrices else array)


def _check_zeros(name: str, weight: np.ndarray, keep: np.ndarray) -> None:
    # As bits: -0 would not come back as -0.
    alive = int(np.count_nonzero(weight.view(np.uint32)[~keep]))
    if alive:
        raise ModelError(f"{alive} pruned weights of {name} are not zero: it is no ticket")


def _half(name: str, weight: np.ndarray) -> np.ndarray:
    largest = float(np.abs(weight).max())
    if not largest <= HALF_MAX:  # so that NaN does not pass either
        raise ModelError(f"{name} has a weight of {largest:g}, too large for fp16")
    return weight.astype(np.float16)


def _use_integers(model: ModelProto, graph: Graph) -> None:
    quantized = graph.matrices | graph.tables
    nodes = [
        integer_form(node)
        if node.op_type in DENSE_FORM.values() and weight_of(node) in quantized
        else node
        for node in model.graph.node
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.functions.extend(quantized_functions())


def _describe(
    model: ModelProto,
    variant: Variant,
    answerer: Answerer,
    mask: Mask | None,
    parameters: Mapping[str, torch.Tensor],
) -> None:
    sparsity = None
    if variant.sparse and mask is not None:
        total = sum(parameter.numel() for parameter in parameters.values())
        sparsity = {"prunable": mask.sparsity, "model": mask.pruned / total}
    helper.set_model_props(
        model,
        {
            "lxcompress": lxcompress.__version__,
            "variant": variant.name,
            "precision": variant.precision,
            "encoding": variant.encoding,
            "sparsity": json.dumps(sparsity),
            "labels": json.dumps(answerer.labels, ensure_ascii=False),
            "tokenizer": answerer.tokenizer,
            "max_tokens": str(answerer.max_tokens),
        },
    )
    arrays = ((tensor.name, numpy_helper.to_array(tensor)) for tensor in model.graph.initializer)
    model.metadata_props.add(key=SEAL, value=seal(model, arrays))
