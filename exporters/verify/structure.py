"""Check what the file alone shows: digest, valid ONNX, weights and zeros as its metadata says."""

from __future__ import annotations

import json

import numpy as np
import onnx

from exporters.encodings.base import DOMAIN
from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.metadata import CONTENT_DIGEST, content_digest, read_labels
from exporters.graph.onnx_file import OnnxFile, file_hashes, wrap_parse_errors
from exporters.records import StructureCheck
from exporters.variants import VARIANTS
from lxcompress.errors import ModelError
from lxcompress.pruning.mask import Mask

_PRECISION = {
    frozenset({"float32"}): "fp32",
    frozenset({"float16"}): "fp16",
    frozenset({"int8", "float32"}): "int8",
}


def check_structure(file: OnnxFile, mask: Mask | None = None) -> StructureCheck:
    """Check a file by itself.

    mask: of the ticket; each pruned tensor must be pruned exactly where it says.

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
        first = str(problem).strip().partition("\n")[0]
        raise ModelError(f"{file.path} is not a valid ONNX model: {first}") from problem
    called = {node.op_type for node in file.model.graph.node if node.domain == DOMAIN}
    missing = called - {function.name for function in file.model.functions}
    if missing:  # ONNX's checker takes them for custom operators
        raise ModelError(f"{file.path} is damaged: it lacks the function {min(missing)}")


def _check_weights(file: OnnxFile, mask: Mask | None) -> StructureCheck:
    weights = EncodedWeights(file)
    if mask is not None and set(mask) != set(weights.pruned):
        raise ModelError(f"{file.path} has other pruned tensors than the ticket's mask")
    parameters = prunable = pruned = zeros = 0
    dtypes, sparse = set(), set(weights.pruned)
    for name in weights.names:
        weight = weights.stored(name)
        parameters += weight.size
        dtypes.add(weight.dtype.name)
        if name in sparse:
            keep = weights.in_model_layout(name, weights.mask(name))
            if mask is not None and not np.array_equal(keep, mask[name].cpu().numpy()):
                raise ModelError(f"{file.path}: {name} is not pruned where the ticket's mask says")
            prunable += keep.size
            pruned += keep.size - int(np.count_nonzero(keep))
            zeros += keep.size - int(np.count_nonzero(weight))
    _check_sparsity(file, bool(sparse), pruned, prunable)
    _check_form(file, _PRECISION.get(frozenset(dtypes)), weights.encoding)
    return StructureCheck(
        bytes=file.stored_bytes(),
        sha256=file_hashes(file.path),
        parameters=parameters,
        prunable=prunable,
        pruned=pruned,
        zeros=zeros,
    )


def _check_sparsity(file: OnnxFile, sparse: bool, pruned: int, prunable: int) -> None:
    stated = json.loads(file.metadata["sparsity"])
    share = 0 if stated is None else stated["prunable"]
    if (stated is not None) != sparse or pruned != round(share * prunable):
        raise ModelError(
            f"{file.path} states another sparsity than {pruned} pruned of {prunable} weights"
        )


def _check_form(file: OnnxFile, precision: str | None, encoding: str) -> None:
    variant = VARIANTS.get(file.metadata["variant"])
    for stated in (
        variant and (variant.precision, variant.encoding),
        (file.metadata["precision"], file.metadata["encoding"]),
    ):
        if stated != (precision, encoding):
            raise ModelError(
                f"{file.path} states that it is {stated}, but its weights are "
                f"{(precision, encoding)}"
            )
