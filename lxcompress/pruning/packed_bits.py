"""One bit for each weight, as masks are stored: 1 where it stays, least significant bit first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def pack(keep: np.ndarray) -> np.ndarray:
    """uint8 `[ceil(n / 8)]` of a bool array, row-major; spare bits of the last byte are 0."""
    return np.packbits(keep.reshape(-1), bitorder="little")


def unpack(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The bool array of `shape` that was packed; ValueError when `bits` do not fit it."""
    size = math.prod(shape)
    if min(shape, default=0) < 0 or bits.dtype != np.uint8 or bits.shape != ((size + 7) // 8,):
        raise ValueError(f"{bits.size} bytes of {bits.dtype} do not hold {list(shape)} bits")
    if size % 8 and bits[-1] >> (size % 8):
        raise ValueError("spare bits are set")
    return np.unpackbits(bits, count=size, bitorder="little").view(np.bool_).reshape(shape)
