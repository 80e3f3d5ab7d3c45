"""A shard: one safetensors file with the regions of many pictures, mapped into memory.

N pictures with up to R regions of F features each: `features [N, R, F] float16`,
`boxes [N, R, 4] float32` (0-1 xyxy), `num_regions [N] int32`, `image_sizes [N, 2] int32` (height,
width in pixels). A picture's rows from its `num_regions` on are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lxcompress.errors import DataError
from lxcompress.system.files import atomic_path, check_regular, sha256

_DTYPES: dict[str, np.dtype[Any]] = {
    "features": np.dtype("<f2"),
    "boxes": np.dtype("<f4"),
    "num_regions": np.dtype("<i4"),
    "image_sizes": np.dtype("<i4"),
}
_SAFETENSORS = {"<f2": "F16", "<f4": "F32", "<i4": "I32"}  # its names of these types
_NOT_FINITE = 0x7C00  # float16 bits without the sign from here on are infinity or NaN


@dataclass(frozen=True, eq=False)
class Shard:
    """The four arrays of a shard; from `open_shard` they are read-only views of the mapped file."""

    features: NDArray[np.float16]
    boxes: NDArray[np.float32]
    num_regions: NDArray[np.int32]
    image_sizes: NDArray[np.int32]

    @classmethod
    def zeros(cls, rows: int, max_regions: int, feature_size: int) -> Shard:
        """Space for `rows` pictures; the system commits its memory only as rows are written."""
        shapes = _shapes(rows, max_regions, feature_size)
        return cls(**{name: np.zeros(shapes[name], dtype) for name, dtype in _DTYPES.items()})

    def first(self, rows: int) -> dict[str, NDArray[Any]]:
        """Views of the first `rows` pictures, by name."""
        return {field.name: getattr(self, field.name)[:rows] for field in fields(self)}


def row_bytes(max_regions: int, feature_size: int) -> int:
    """Bytes that one picture takes in a shard."""
    return sum(_bytes(name, shape) for name, shape in _shapes(1, max_regions, feature_size).items())


def write_shard(path: Path, shard: Shard, rows: int) -> str:
    """Write the first `rows` pictures of `shard`, whole or not at all; return the file's SHA-256.

    Takes no further memory: safetensors writes from the arrays themselves.
    """
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(shard.first(rows), temporary)
        temporary.chmod(mode)  # as other files: safetensors makes its own for their owner only
        return sha256(temporary)


def open_shard(path: Path, max_regions: int, feature_size: int) -> Shard:
    """Map a shard into memory without reading its data.

    Raises:
        DataError: the file is missing, is cut off, or has other tensors than a shard of
            `max_regions` regions of `feature_size` features.
    """
    check_regular(path)
    try:
        with safe_open(path, framework="numpy") as file:
            parts = {name: file.get_slice(name) for name in file.offset_keys()}
            found = {name: (part.get_dtype(), part.get_shape()) for name, part in parts.items()}
    except FileNotFoundError:
        raise DataError(f"region shard not found: {path}") from None
    except (SafetensorError, OSError) as problem:
        reason = str(problem).removeprefix("Error while deserializing header: ")
        raise DataError(
            f"region shard is cut off or damaged ({reason}): {path}; make or copy it again"
        ) from None
    if found.keys() != _DTYPES.keys():
        raise DataError(f"not a region shard (its tensors are others): {path}")
    rows = found["num_regions"][1][0] if found["num_regions"][1] else 0
    shapes = _shapes(rows, max_regions, feature_size)
    for name, dtype in _DTYPES.items():
        expected = (_SAFETENSORS[dtype.str], list(shapes[name]))
        if found[name] != expected:
            raise DataError(
                f"region shard does not fit its index: {name} is {found[name]}, "
                f"expected {expected}: {path}"
            )
    # safe_open's NumPy tensors are copies, and its PyTorch tensors, which are not, would need
    # PyTorch to read a picture's size. It has checked that the tensors follow one another without
    # gaps, in the order of `offset_keys`, and end where the file ends.
    whole = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    start = len(whole) - sum(_bytes(name, shape) for name, shape in shapes.items())
    arrays = {}
    for name in parts:
        end = start + _bytes(name, shapes[name])
        arrays[name] = whole[start:end].view(_DTYPES[name]).reshape(shapes[name])
        start = end
    return Shard(**arrays)


def all_finite(half: NDArray[np.float16]) -> bool:
    """`np.isfinite(half).all()`, several times as fast: integers are vectorised, float16 is not."""
    return int((half.view(np.uint16) & 0x7FFF).max(initial=0)) < _NOT_FINITE


def _shapes(rows: int, max_regions: int, feature_size: int) -> dict[str, tuple[int, ...]]:
    return {
        "features": (rows, max_regions, feature_size),
        "boxes": (rows, max_regions, 4),
        "num_regions": (rows,),
        "image_sizes": (rows, 2),
    }


def _bytes(name: str, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * _DTYPES[name].itemsize
