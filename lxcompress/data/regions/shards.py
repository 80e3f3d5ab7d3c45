"""The files of a folder of regions: shards that are mapped into memory, and their index.

A shard is a safetensors file of N pictures with up to R regions of F features each:
`features [N, R, F] float16`, `boxes [N, R, 4] float32` (0-1 xyxy), `num_regions [N] int32`,
`image_sizes [N, 2] int32` (height, width in pixels). Rows from `num_regions` on are zero.
The index says which picture is in which row of which shard.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from lxcompress.errors import DataError
from lxcompress.system.files import atomic_path, read_json

# Largest elements first: then every tensor starts at a multiple of its element size, whatever
# R and F are, because the header is padded to 8 bytes.
_DTYPES = {"boxes": "F32", "image_sizes": "I32", "num_regions": "I32", "features": "F16"}
_NUMPY: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "F16": np.dtype("<f2"),
}
_LONGEST_HEADER = 1 << 20
_NOT_FINITE = 0x7C00  # float16 bits without the sign from here on are infinity or NaN

INDEX_NAME = "index.json"
PARTIAL_NAME = "partial.json"  # the index while regions are being made


class ShardEntry(BaseModel):
    """One shard in the index: its file, its pictures in row order, its SHA-256 when written."""

    model_config = ConfigDict(extra="forbid")
    file: str
    images: list[str]
    sha256: str


class RegionIndex(BaseModel):
    """Content of `index.json` and `partial.json`.

    `source` says what the regions were made from; `position` is where in it the last shard ends.
    """

    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    detector: str
    feature_size: PositiveInt
    max_regions: PositiveInt
    shard_rows: PositiveInt
    source: str = ""
    position: int = 0
    shards: list[ShardEntry]

    @classmethod
    def read(cls, path: Path) -> RegionIndex:
        """Raises DataError when the file is missing or is no index of regions."""
        try:
            index = cls.model_validate(read_json(path, "index of regions"))
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(f"not an index of regions: {where}: {first['msg']}: {path}") from None
        for shard in index.shards:
            if Path(shard.file).name != shard.file:
                raise DataError(f"shard {shard.file!r} lies outside its folder: {path}")
        return index


@dataclass(frozen=True, eq=False)
class Shard:
    """The four arrays of a shard; from `open_shard` they are views of the mapped file."""

    features: NDArray[np.float16]
    boxes: NDArray[np.float32]
    num_regions: NDArray[np.int32]
    image_sizes: NDArray[np.int32]

    @classmethod
    def zeros(cls, rows: int, max_regions: int, feature_size: int) -> Shard:
        """Room for `rows` pictures; the system commits its memory only as rows are written."""
        shapes = _shapes(rows, max_regions, feature_size)
        return cls(**{name: np.zeros(shapes[name], _NUMPY[_DTYPES[name]]) for name in _DTYPES})


def row_bytes(max_regions: int, feature_size: int) -> int:
    """Bytes that one picture takes in a shard."""
    shapes = _shapes(1, max_regions, feature_size)
    return sum(_bytes(name, shapes[name]) for name in _DTYPES)


def write_shard(path: Path, shard: Shard, rows: int) -> str:
    """Write the first `rows` pictures of `shard`, whole or not at all; return the file's SHA-256.

    Not `safetensors.save_file`, which needs two further copies of the shard in memory.
    """
    header: dict[str, Any] = {}
    end = 0
    for name, dtype in _DTYPES.items():
        array = getattr(shard, name)[:rows]
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for part in (struct.pack("<Q", len(text)), text):
            file.write(part)
            digest.update(part)
        for name in _DTYPES:
            data = memoryview(getattr(shard, name)[:rows]).cast("B")
            file.write(data)
            digest.update(data)
    return digest.hexdigest()


def open_shard(path: Path, max_regions: int, feature_size: int) -> Shard:
    """Map a shard into memory without reading its data.

    Raises:
        DataError: the file is missing, is cut off, or holds other tensors than a shard of
            `max_regions` regions of `feature_size` features.
    """
    try:
        with open(path, "rb") as file:
            start, header = _read_header(path, file.read(8), file.read(_LONGEST_HEADER))
            length = file.seek(0, 2)
    except FileNotFoundError:
        raise DataError(f"region shard not found: {path}") from None
    try:
        rows = int(header["num_regions"]["shape"][0])
        spans = {name: tuple(header[name]["data_offsets"]) for name in _DTYPES}
        found = {name: (header[name]["dtype"], tuple(header[name]["shape"])) for name in _DTYPES}
    except (KeyError, TypeError, IndexError, ValueError):
        raise DataError(f"not a region shard (its tensors are others): {path}") from None
    shapes = _shapes(rows, max_regions, feature_size)
    for name, dtype in _DTYPES.items():
        if found[name] != (dtype, shapes[name]):
            raise DataError(
                f"region shard does not fit its index: {name} is {found[name]}, "
                f"expected {(dtype, shapes[name])}: {path}"
            )
        begin, end = spans[name]
        if end - begin != _bytes(name, shapes[name]) or begin < 0:
            raise DataError(f"region shard is damaged (offsets of {name}): {path}")
    expected = start + max(end for _, end in spans.values())
    if length != expected:
        raise DataError(
            f"region shard is {'cut off' if length < expected else 'damaged'}: {length} bytes "
            f"instead of {expected}: {path}; make or copy it again"
        )
    whole = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    arrays = {}
    for name, dtype in _DTYPES.items():
        begin, end = spans[name]
        data = whole[start + begin : start + end]
        arrays[name] = data.view(_NUMPY[dtype]).reshape(shapes[name])
    return Shard(**arrays)


def all_finite(half: NDArray[np.float16]) -> bool:
    """`np.isfinite(half).all()`, several times as fast: integers are vectorised, float16 is not."""
    return int((half.view(np.uint16) & 0x7FFF).max(initial=0)) < _NOT_FINITE


def _read_header(path: Path, prefix: bytes, text: bytes) -> tuple[int, dict[str, Any]]:
    """Where the data starts, and what the header says."""
    size = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 0 < size <= len(text):
        raise DataError(f"not a region shard, or cut off in its header: {path}")
    try:
        header = json.loads(text[:size])
    except ValueError:
        raise DataError(f"not a region shard, or its header is damaged: {path}") from None
    if not isinstance(header, dict):
        raise DataError(f"not a region shard, or its header is damaged: {path}")
    return 8 + size, header


def _shapes(rows: int, max_regions: int, feature_size: int) -> dict[str, tuple[int, ...]]:
    return {
        "features": (rows, max_regions, feature_size),
        "boxes": (rows, max_regions, 4),
        "num_regions": (rows,),
        "image_sizes": (rows, 2),
    }


def _bytes(name: str, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * _NUMPY[_DTYPES[name]].itemsize
