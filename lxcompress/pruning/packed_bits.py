"""Masks with one bit per weight: 1 where it remains, least significant bit first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def pack(keep: np.ndarray) -> np.ndarray:
    """Pack a bool array, row-major, into uint8 `[ceil(n / 8)]`; unused bits are 0."""
    return np.packbits(keep.reshape(-1), bitorder="little")


def unpack(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Unpack to a bool array of `shape`; raise ValueError when `bits` do not fit it."""
    size = math.prod(shape)
    if min(shape, default=0) < 0 or bits.dtype != np.uint8 or bits.shape != ((size + 7) // 8,):
        raise ValueError(f"{bits.size} bytes of {bits.dtype} do not hold {list(shape)} bits")
    if size % 8 and bits[-1] >> (size % 8):
        raise ValueError("spare bits are set")
    return np.unpackbits(bits, count=size, bitorder="little").view(np.bool_).reshape(shape)
