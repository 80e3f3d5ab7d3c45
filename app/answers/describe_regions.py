"""Regions as text, for people who do not see the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import Regions

WHOLE = "most of the picture"

_LISTED = 3  # regions
_LEAST = 0.25  # of the largest share
_WHOLE = 0.7  # share of the picture's area from which a box has no position in it
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")
_ALONE = {"upper": "top", "lower": "bottom", "": "center"}  # a row without a column


def describe_position(box: np.ndarray | Sequence[float]) -> str:
    """Where a box (xyxy in 0-1) has its centre, by thirds: "lower left", "top", "center"."""
    left, top, right, bottom = (float(corner) for corner in box)
    if (right - left) * (bottom - top) >= _WHOLE:
        return WHOLE
    row, column = _ROWS[_third((top + bottom) / 2)], _COLUMNS[_third((left + right) / 2)]
    return f"{row} {column}".strip() if column else _ALONE[row]


def describe_attention(regions: Regions, attention: np.ndarray) -> list[str]:
    """Describe the regions of most attention, each once: "red bus, lower left".

    A region without a name has its position only. At most three, those with less than a quarter of
    the largest share left out; none without any attention.
    """
    if not np.any(attention):
        return []
    names = region_names(regions)
    described = []
    for row in np.argsort(-np.asarray(attention), kind="stable"):
        if attention[row] < _LEAST * np.max(attention):
            break
        name, position = names[row], describe_position(regions.boxes[row])
        is_alone = name is None and position != WHOLE
        described.append(
            f"the {position}" if is_alone else ", ".join(filter(None, [name, position]))
        )
    return list(dict.fromkeys(described))[:_LISTED]


def _third(position: float) -> int:
    return min(2, int(3 * position))
