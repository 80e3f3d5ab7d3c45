"""Regions as text, for people who do not see the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import Regions

_LISTED = 3  # regions
_WHOLE = 0.7  # share of the picture's area from which a box has no position in it
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")
_ALONE = {"upper": "top", "lower": "bottom", "": "center"}  # a row without a column


def describe_position(box: np.ndarray | Sequence[float]) -> str:
    """Where a box (xyxy in 0-1) has its centre, by thirds: "lower left", "top", "center"."""
    left, top, right, bottom = (float(corner) for corner in box)
    if (right - left) * (bottom - top) >= _WHOLE:
        return "most of the picture"
    row, column = _ROWS[_third((top + bottom) / 2)], _COLUMNS[_third((left + right) / 2)]
    return f"{row} {column}".strip() if column else _ALONE[row]


def describe_attention(regions: Regions, attention: np.ndarray) -> list[str]:
    """Describe the regions of most attention, each once: "red bus, lower left".

    A region without a name has its position only. Empty without any attention.
    """
    if not np.any(attention):
        return []
    names = region_names(regions)
    order = np.argsort(-np.asarray(attention), kind="stable")
    described = [
        ", ".join(filter(None, [names[row], describe_position(regions.boxes[row])]))
        for row in order
    ]
    return list(dict.fromkeys(described))[:_LISTED]


def _third(position: float) -> int:
    return min(2, int(3 * position))
