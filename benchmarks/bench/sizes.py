"""What the files of a run weigh, by part of the model, and what other formats would make of it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from safetensors import safe_open

from exporters.encodings import bitmask, int8
from exporters.encodings.decode_model import Weights
from exporters.graph.onnx_file import OnnxFile
from exporters.records import ExportRecord
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ModelError
from lxcompress.model.prunable import modality
from lxcompress.run import Run
from lxcompress.system.progress import progress

PARTS = ("language", "vision", "cross-modality", "embeddings", "head")
_EMBEDDINGS = ("lxmert.embeddings.", "lxmert.encoder.visn_fc.")
_HEAD = "answer_head."
_KINDS = ("mask", "values", "unpruned", "scales")
_FLOAT, _INDEX = 4, 4  # bytes
_ZIP_LEVEL = 6  # zlib's default, as of zip
_BLOCK = 1 << 20


def part_of_model(name: str) -> str:
    """The one of `PARTS` that a parameter belongs to, by its Hugging Face name.

    All of the answer head is "head", though for `--scope modality` its first layer is ranked with
    the cross-modality layers; what turns regions and boxes into vectors is "embeddings".
    """
    if name.startswith(_HEAD):
        return "head"
    return "embeddings" if name.startswith(_EMBEDDINGS) else modality(name)


def sizes(run: Run, records: Mapping[str, ExportRecord]) -> dict[str, Any]:
    """The report's `size` (`bench_schema.Size`) for export.json's records, by name of the file.

    Raises ModelError when a file's weights do not weigh what the formula says.
    """
    dense_fp32 = records[VARIANTS["fp32"].file].bytes
    files = []
    for name, record in records.items():
        variant = VARIANTS[record.variant]
        dense = records[VARIANTS[variant.precision].file].bytes
        parts = weights_by_part(run.onnx / name)
        weights = {kind: sum(part[kind] for part in parts.values()) for kind in _KINDS}
        total = sum(weights.values())
        if total != record.formula.total:
            raise ModelError(
                f"{run.onnx / name} holds {total:,} bytes of weights, the formula says "
                f"{record.formula.total:,}; `lxcompress export {run.folder}` makes it again"
            )
        files.append(
            {
                "file": name,
                "variant": variant.name,
                "model": model_of(variant),
                "precision": variant.precision,
                "bytes": record.bytes,
                "weights": weights,
                "container": record.bytes - total,
                "formula": record.formula.total,
                "entropy_bound": record.formula.entropy_bound,
                "of_dense_fp32": record.bytes / dense_fp32,
                "of_dense_same_precision": record.bytes / dense,
                "parts": parts,
            }
        )
    return {"files": files, "other_formats": other_formats(run)}


def model_of(variant: Variant) -> str:
    """Whose weights a variant holds, "dense" or "ticket"."""
    return "ticket" if variant.sparse else "dense"


def weights_by_part(path: Path) -> dict[str, dict[str, int]]:
    """Bytes of an exported file's weights by part of the model and by kind."""
    file = OnnxFile(path)
    weights = Weights(file)
    found = {part: dict.fromkeys(_KINDS, 0) for part in PARTS}
    for name in weights.names:
        part = found[part_of_model(name)]
        if name in weights.encoded:
            part["mask"] += _stored(file.tensors[name + bitmask.MASK_SUFFIX])
            part["values"] += _stored(file.tensors[name + bitmask.VALUES_SUFFIX])
        else:
            part["unpruned"] += _stored(file.tensors[name])
        scale = file.tensors.get(name + int8.SCALE_SUFFIX)
        part["scales"] += _stored(scale) if scale is not None else 0
    return found


def _stored(tensor: TensorProto) -> int:
    return math.prod(tensor.dims) * tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def csr_bytes(rows: int, nonzero: int) -> int:
    """Bytes of an fp32 matrix as `scipy.sparse.csr_array` with 32-bit indices.

    A value and a column for each weight that is not zero, and where each row begins and ends.
    """
    return nonzero * (_FLOAT + _INDEX) + _INDEX * (rows + 1)


def other_formats(run: Run) -> list[dict[str, Any]]:
    """fp32 sizes of both models as Hugging Face saves them and zipped, and of the ticket encoded.

    All are of every weight in the folder; ONNX files leave out what never reaches the answer.
    """
    found = []
    for model, folder in (("dense model", run.dense), ("ticket", run.ticket)):
        files = safetensors_of(folder)
        plain = sum(path.stat().st_size for path in files)
        found.append(
            {"name": f"{model}, safetensors", "bytes": plain, "how": "the file, zeros included"}
        )
        found.append(
            {
                "name": f"{model}, safetensors zipped",
                "bytes": zipped_bytes(files),
                "how": f"zlib, level {_ZIP_LEVEL}, of that file",
            }
        )
    csr, encoded = _encoded_bytes(run)
    how = "fp32 values and 32-bit indices of each prunable matrix, all else as it is"
    found.append({"name": "ticket, CSR", "bytes": csr, "how": how})
    how = "a bit for each prunable weight and fp32 values of those that stay, all else as it is"
    found.append({"name": "ticket, bitmask", "bytes": encoded, "how": how})
    return found


def safetensors_of(folder: Path) -> list[Path]:
    """The weights of a model folder, without its mask; ModelError where there are none."""
    mask = Run(Path()).mask.name
    files = [path for path in sorted(folder.glob("*.safetensors")) if path.name != mask]
    if not files:
        raise ModelError(f"{folder} has no safetensors file")
    return files


def zipped_bytes(paths: Sequence[Path]) -> int:
    """What zlib makes of the files, one after the other, a block at a time."""
    total, packer = 0, zlib.compressobj(_ZIP_LEVEL)
    blocks = sum(-(-path.stat().st_size // _BLOCK) for path in paths)
    with progress(f"Zipping {paths[0].parent.name}", blocks, "MB") as meter:
        for path in paths:
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    total += len(packer.compress(block))
                    meter.advance()
    return total + len(packer.flush())


def _encoded_bytes(run: Run) -> tuple[int, int]:
    """The ticket as CSR and as bitmask, both of every weight in its folder."""
    with safe_open(run.mask, framework="np") as mask:
        bits = {name: mask.get_tensor(name) for name in mask.keys()}  # noqa: SIM118
    csr = encoded = 0
    for path in safetensors_of(run.ticket):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118
                weight = file.get_tensor(name)
                if name in bits:
                    kept = int(np.bitwise_count(bits[name]).sum(dtype=np.int64))
                    csr += csr_bytes(len(weight), int(np.count_nonzero(weight)))
                    encoded += bits[name].size + _FLOAT * kept
                else:
                    csr += _FLOAT * weight.size
                    encoded += _FLOAT * weight.size
    return csr, encoded
