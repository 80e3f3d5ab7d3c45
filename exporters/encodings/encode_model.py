"""Build the ONNX model of a variant from graph and weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from onnx import ModelProto, helper, numpy_helper

import lxcompress
from exporters.encodings.base import DOMAIN, DOMAIN_VERSION
from exporters.encodings.bitmask import check_pruned
from exporters.encodings.registry import ENCODINGS, choose_encodings, describe
from exporters.graph.half_precision import to_half
from exporters.graph.metadata import AnswerMetadata, write_metadata
from exporters.graph.pattern import UNPRUNED, find_pattern
from exporters.graph.residuals import unfused_residuals
from exporters.graph.structure import Structure
from exporters.graph.trace import Graph
from exporters.variants import Variant
from lxcompress.errors import ModelError
from lxcompress.pruning.mask import Mask


def encode_model(
    graph: Graph,
    parameters: Mapping[str, torch.Tensor],
    variant: Variant,
    answers: AnswerMetadata,
    mask: Mask | None = None,
    structure: Structure | None = None,
) -> ModelProto:
    """Return the complete model of `variant`.

    graph: traced with the units of `structure`.
    parameters: the dense model's, float32, by their Hugging Face names.
    mask: the ticket's, which a sparse variant needs. Only exact zeros (+0) are left out.
    structure: the units that a sparse variant has; None for all.

    Raises:
        ModelError: a weight has another shape than the graph's, a pruned weight is not +0, or
            the precision of the variant cannot hold a weight.
    """
    if variant.sparse and mask is None:
        raise ValueError(f"{variant.name} needs a mask")
    structure = structure if structure and variant.sparse else Structure()
    masks = structure.select_mask(mask) if mask is not None and variant.sparse else {}
    remaining = {name: int(keep.count_nonzero()) for name, keep in masks.items()}
    # fp16 is for GPUs, whose fused kernels are fast.
    prepare = to_half if variant.precision == "fp16" else unfused_residuals
    model = prepare(graph.model)
    model.producer_name, model.producer_version = "lxcompress", lxcompress.__version__
    encodings = choose_encodings(graph, variant, remaining)
    for name, encoding in encodings.items():
        parameter = structure.select(name, parameters[name].detach())
        assert parameter is not None  # the graph has it
        weight = _in_graph(graph, name, parameter)
        if weight.shape != graph.weights[name]:
            raise ModelError(f"{name} is {weight.shape}, the graph's {graph.weights[name]}")
        keep = _in_graph(graph, name, masks[name]) if name in masks else None
        if keep is not None and not encoding.SPARSE:
            check_pruned(name, weight, keep)
        for tensor, array in encoding.encode(name, weight, keep).items():
            model.graph.initializer.append(numpy_helper.from_array(array, tensor))
    for encoding_type in ENCODINGS:
        found = {name: encoding.layer(encoding_type) for name, encoding in encodings.items()}
        layers = {name: layer for name, layer in found.items() if layer is not None}
        if layers:
            encoding_type.add_to(model, layers)
    if model.functions:
        model.opset_import.append(helper.make_opsetid(DOMAIN, DOMAIN_VERSION))
    sparsity = None
    if variant.sparse and mask is not None:
        total = sum(parameter.numel() for parameter in parameters.values())
        pruned = structure.prune(mask)
        sparsity = {"prunable": pruned.sparsity, "model": pruned.pruned / total}
    write_metadata(
        model,
        variant,
        answers,
        encoding=describe(encodings.values(), compact=bool(structure.kept)),
        structure=structure.dumps(),
        pattern=find_pattern(masks, compact=bool(structure.kept)) if variant.sparse else UNPRUNED,
        sparsity=sparsity,
    )
    return model


def _in_graph(graph: Graph, name: str, tensor: torch.Tensor) -> np.ndarray:
    """Return a parameter, or its mask, in the layout of the graph."""
    array = tensor.detach().cpu().numpy()
    return np.ascontiguousarray(array.T if name in graph.matrices else array)
