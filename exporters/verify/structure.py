"""Check what the file alone shows: digest, valid ONNX, shapes and zeros as its metadata says."""

from __future__ import annotations

import json

import numpy as np
import onnx
import torch

from exporters.encodings.base import DOMAIN
from exporters.encodings.decode_model import EncodedWeights
from exporters.encodings.dense import Dense
from exporters.encodings.registry import describe
from exporters.graph.metadata import CONTENT_DIGEST, content_digest, read_labels
from exporters.graph.onnx_file import OnnxFile, file_hashes, wrap_parse_errors
from exporters.graph.structure import Structure
from exporters.records import StructureCheck
from exporters.variants import VARIANTS
from exporters.verify.pattern import PatternCheck
from exporters.verify.units import check_units
from lxcompress.errors import ModelError
from lxcompress.model.prunable import is_prunable
from lxcompress.pruning.mask import Mask
from lxcompress.system.text import first_line

_PRECISION = {
    frozenset({"float32"}): "fp32",
    frozenset({"float16"}): "fp16",
    frozenset({"int8", "float32"}): "int8",
}
_HIDDEN = "lxmert.pooler.dense.bias"  # every file has it, and its length is the hidden size


def check_structure(file: OnnxFile, mask: Mask | None = None) -> StructureCheck:
    """Check a file by itself.

    mask: of the ticket; each prunable tensor must be pruned exactly where it says, and a unit that
        the file lacks must be one that it makes unreachable.

    Raises:
        ModelError: the file is damaged, is not valid ONNX, or differs from its metadata or the
            mask.
    """
    with wrap_parse_errors(file.path):
        _check_digest(file)
        _check_onnx(file)
        return _check_weights(file, mask)


def _check_digest(file: OnnxFile) -> None:
    read_labels(file)
    arrays = ((name, file.array(name)) for name in file.tensors)
    if content_digest(file.model, arrays) != file.metadata[CONTENT_DIGEST]:
        raise ModelError(f"{file.path} is damaged: its content does not match its checksum")


def _check_onnx(file: OnnxFile) -> None:
    try:
        onnx.checker.check_model(str(file.path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        first = first_line(problem)
        raise ModelError(f"{file.path} is not a valid ONNX model: {first}") from problem
    called = {node.op_type for node in file.model.graph.node if node.domain == DOMAIN}
    missing = called - {function.name for function in file.model.functions}
    if missing:  # ONNX's checker takes them for custom operators
        raise ModelError(f"{file.path} is damaged: it lacks the function {min(missing)}")


def _check_weights(file: OnnxFile, mask: Mask | None) -> StructureCheck:
    weights = EncodedWeights(file)
    structure = Structure.loads(file.metadata["structure"])
    variant = VARIANTS.get(file.metadata["variant"])
    sparse, encoded = variant is not None and variant.sparse, set(weights.pruned)
    expected = structure.select_mask(mask) if mask is not None else {}
    pattern = PatternCheck(file)
    parameters = prunable = pruned = zeros = dense_zeros = 0
    dtypes, names, shapes = set(), set(), {}
    for name in weights.names:
        weight = weights.stored(name)
        parameters += weight.size
        dtypes.add(weight.dtype.name)
        shapes[name] = weights.in_model_layout(name, weight).shape
        if not (sparse and is_prunable(name, weight.ndim)):
            continue
        names.add(name)
        prunable += weight.size
        zero = weight.size - int(np.count_nonzero(weight))
        zeros += zero
        keep = weights.in_model_layout(name, weights.mask(name)) if name in encoded else None
        if keep is None:
            dense_zeros += zero  # of pruning, of rounding or by chance: only the mask can say
        else:
            pruned += keep.size - int(np.count_nonzero(keep))
        stored = weights.in_model_layout(name, weight)
        pattern.matrix(name, keep, stored)
        if mask is not None and name in expected:
            _check_pruned(file, name, expected[name].cpu().numpy(), keep, stored)
    hidden_size = file.array(_HIDDEN).size
    removed = structure.removed(hidden_size)
    _check_form(
        file,
        _PRECISION.get(frozenset(dtypes)),
        describe(weights.encodings.values(), compact=bool(structure.kept)),
    )
    _check_shapes(file, structure.shapes(hidden_size), shapes)
    units = check_units(file, structure, shapes)
    if mask is not None:
        _check_mask(file, structure, names, shapes, mask)
    stated = _check_sparsity(
        file, sparse, prunable + removed, pruned + removed, dense_zeros, structure, mask
    )
    pattern.totals(sparse=sparse, prunable=prunable, pruned=stated - removed, removed=removed)
    return StructureCheck(
        bytes=file.stored_bytes(),
        sha256=file_hashes(file.path),
        pattern=pattern.stated,
        units=units,
        parameters=parameters,
        prunable=prunable + removed,
        pruned=stated,
        zeros=zeros + removed,
    )


def _check_pruned(
    file: OnnxFile,
    name: str,
    expected: np.ndarray,
    keep: np.ndarray | None,
    weight: np.ndarray,
) -> None:
    """Check a weight against its mask: the stored bits, or zeros at least where it is pruned."""
    same = (
        expected.shape == weight.shape and not weight[~expected].any()
        if keep is None
        else np.array_equal(keep, expected)
    )
    if not same:
        raise ModelError(f"{file.path}: {name} is not pruned where the ticket's mask says")


def _check_shapes(
    file: OnnxFile, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]
) -> None:
    for name, shape in expected.items():
        if found.get(name) != (shape if all(shape) else None):
            raise ModelError(
                f"{file.path} states other heads or neurons than it has: {name} is "
                f"{found.get(name)}, not {shape}"
            )


def _check_mask(
    file: OnnxFile,
    structure: Structure,
    names: set[str],
    shapes: dict[str, tuple[int, ...]],
    mask: Mask,
) -> None:
    if set(mask) != names | structure.weights:
        raise ModelError(f"{file.path} has other pruned tensors than the ticket's mask")
    for layer, kept in structure.kept.items():
        if f"{layer.output}.bias" not in shapes:
            continue  # the graph does not compute this sublayer at all
        elements = mask[f"{layer.output}.weight"].any(0) & mask[f"{layer.first[-1]}.weight"].any(1)
        needed = layer.gather(elements).any(1)
        if torch.any(needed & ~kept):
            raise ModelError(f"{file.path}: {layer.name} lacks {layer.kind} that are not pruned")


def _check_sparsity(
    file: OnnxFile,
    sparse: bool,
    prunable: int,
    pruned: int,
    dense_zeros: int,
    structure: Structure,
    mask: Mask | None,
) -> int:
    """Check the stated sparsity and return the number of pruned weights that it means.

    Of a matrix that is stored dense, at most its zeros are pruned; the mask says how many.
    """
    stated = json.loads(file.metadata["sparsity"])
    count = 0 if stated is None else round(stated["prunable"] * prunable)
    fits = pruned <= count <= pruned + dense_zeros
    if mask is not None and fits:
        fits = count == structure.prune(mask).pruned
    if (stated is not None) != sparse or not fits:
        raise ModelError(
            f"{file.path} states another sparsity than {pruned} pruned of {prunable} weights"
        )
    return count


def _check_form(file: OnnxFile, precision: str | None, encoding: str) -> None:
    variant = VARIANTS.get(file.metadata["variant"])
    for stated in (
        variant and (variant.precision, encoding if variant.sparse else Dense.NAME),
        (file.metadata["precision"], file.metadata["encoding"]),
    ):
        if stated != (precision, encoding):
            raise ModelError(
                f"{file.path} states that it is {stated}, but its weights are "
                f"{(precision, encoding)}"
            )
