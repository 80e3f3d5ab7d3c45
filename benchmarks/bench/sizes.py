"""Sizes of exported files by part of the model, and of the models in other formats."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from safetensors import safe_open

from benchmarks.bench.inputs import BenchInputs
from benchmarks.bench.schema import FileSize, OtherFormat, Size, Weights
from benchmarks.bench.systems import model_of
from exporters.encodings.base import KINDS, Kind
from exporters.encodings.bitmask import Bitmask
from exporters.encodings.decode_model import EncodedWeights
from exporters.encodings.dense import Dense
from exporters.graph.onnx_file import OnnxFile
from exporters.variants import VARIANTS
from lxcompress.errors import ModelError
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.prunable import modality
from lxcompress.system.progress import progress

PARTS = ("language", "vision", "cross-modality", "embeddings", "head")
_EMBEDDINGS = ("lxmert.embeddings.", "lxmert.encoder.visn_fc.")
_HEAD = "answer_head."
_FLOAT, _INDEX = 4, 4  # bytes
_ZIP_LEVEL = 6  # zlib's default, which zip uses too
_BLOCK = 1 << 20


def part_of_model(name: str) -> str:
    """The one of `PARTS` that a parameter belongs to, by its Hugging Face name.

    The whole answer head is "head", although `--scope modality` ranks its first layer with the
    cross-modality layers; the visual feature and box embeddings are "embeddings".
    """
    if name.startswith(_HEAD):
        return "head"
    return "embeddings" if name.startswith(_EMBEDDINGS) else modality(name)


def sizes(inputs: BenchInputs) -> Size:
    """Sizes of the exported files, and of the models' own.

    Raises:
        ModelError: A file's weights do not have the size that the formula gives.
    """
    records, source = inputs.records, inputs.source
    dense_fp32 = records[VARIANTS["fp32"].file].bytes
    files = []
    for name, record in records.items():
        variant = VARIANTS[record.variant]
        dense = records[VARIANTS[variant.precision].file].bytes
        parts = weights_by_part(source.onnx / name)
        weights = {kind: sum(part[kind] for part in parts.values()) for kind in KINDS}
        total = sum(weights.values())
        if total != record.formula.total:
            raise ModelError(
                f"{source.onnx / name} holds {total:,} bytes of weights, the formula gives "
                f"{record.formula.total:,}; delete it, and "
                f"`{inputs.subject.export_command([variant.name])}` writes it again"
            )
        files.append(
            FileSize(
                file=name,
                variant=variant.name,
                model=model_of(variant),
                precision=variant.precision,
                encoding=record.encoding,
                bytes=record.bytes,
                weights=Weights(**weights),
                container=record.bytes - total,
                formula=total,
                entropy_bound=record.formula.entropy_bound,
                of_dense_fp32=record.bytes / dense_fp32,
                of_dense_same_precision=record.bytes / dense,
                parts={part: Weights(**kinds) for part, kinds in parts.items()},
            )
        )
    assert source.dense is not None
    return Size(files=files, other_formats=other_formats(source.dense, source.ticket))


def weights_by_part(path: Path) -> dict[str, dict[Kind, int]]:
    """Bytes of an exported file's weights by part of the model and by kind."""
    file = OnnxFile(path)
    found = {part: dict.fromkeys(KINDS, 0) for part in PARTS}
    for name, encoding in EncodedWeights(file).encodings.items():
        part = found[part_of_model(name)]
        for tensor, kind in encoding.kinds(name).items():
            part[kind] += _stored(file.tensors[tensor])
    return found


def _stored(tensor: TensorProto) -> int:
    return math.prod(tensor.dims) * tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def csr_bytes(rows: int, nonzero: int) -> int:
    """Bytes of an fp32 matrix as `scipy.sparse.csr_array` with 32-bit indices.

    A value and a column index for each nonzero weight, and the offset of each row and of the end.
    """
    return nonzero * (_FLOAT + _INDEX) + _INDEX * (rows + 1)


def other_formats(dense: Path, ticket: Path | None) -> list[OtherFormat]:
    """Sizes of the model folders' weights as they are and zipped, and of the ticket encoded.

    They count every weight in the folder; ONNX files omit those that never affect the answer.
    """
    formats = []
    for model, folder in (("dense model", dense), ("ticket", ticket)):
        if folder is None:
            continue
        files = weight_files(folder)
        kind = files[0].suffix.removeprefix(".").replace("bin", "pytorch_model.bin")
        plain = sum(path.stat().st_size for path in files)
        how = "file size" if ticket is None else "file size, zeros included"
        formats.append(OtherFormat(name=f"{model}, {kind}", bytes=plain, how=how))
        formats.append(
            OtherFormat(
                name=f"{model}, {kind} zipped",
                bytes=zipped_bytes(files),
                how=f"that file, compressed with zlib at level {_ZIP_LEVEL}",
            )
        )
    if ticket is None:
        return formats
    csr, encoded = _encoded_bytes(ticket)
    how = "fp32 values and 32-bit indices of each prunable matrix, all other weights dense"
    formats.append(OtherFormat(name="ticket, CSR", bytes=csr, how=how))
    how = "one bit for each prunable weight, fp32 values of the remaining ones, all others dense"
    formats.append(OtherFormat(name="ticket, bitmask", bytes=encoded, how=how))
    return formats


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder, without its mask: safetensors, else PyTorch's.

    Raises:
        ModelError: There are none.
    """
    files = [path for path in sorted(folder.glob("*.safetensors")) if path.name != MASK_FILE]
    files = files or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise ModelError(f"{folder} has no safetensors file and no pytorch_model.bin")
    return files


def zipped_bytes(paths: Sequence[Path]) -> int:
    """Bytes of the files as one zlib stream, compressed block by block."""
    total, packer = 0, zlib.compressobj(_ZIP_LEVEL)
    blocks = sum(-(-path.stat().st_size // _BLOCK) for path in paths)
    with progress(f"Zipping {paths[0].parent.name}", blocks, "MB") as meter:
        for path in paths:
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    total += len(packer.compress(block))
                    meter.advance()
    return total + len(packer.flush())


def _encoded_bytes(ticket: Path) -> tuple[int, int]:
    """Bytes of the ticket as CSR and as bitmask, with every weight in its folder."""
    with safe_open(ticket / MASK_FILE, framework="np") as mask:
        bits = {name: mask.get_tensor(name) for name in mask.keys()}  # noqa: SIM118
    csr = encoded = 0
    for path in weight_files(ticket):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118
                weight = file.get_tensor(name)
                if name in bits:
                    kept = int(np.bitwise_count(bits[name]).sum(dtype=np.int64))
                    csr += csr_bytes(len(weight), int(np.count_nonzero(weight)))
                    bitmask = Bitmask(Dense(), weight.shape)
                    encoded += sum(bitmask.nbytes(weight.shape, kept).values())
                else:
                    csr += _FLOAT * weight.size
                    encoded += _FLOAT * weight.size
    return csr, encoded
