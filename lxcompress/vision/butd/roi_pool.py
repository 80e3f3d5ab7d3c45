"""RoIPool (Girshick 2015): the maxima of a 14 x 14 grid over each box of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor

from lxcompress.vision.butd.architecture import STRIDE

_CELLS = 14  # along each side of a box

Cells = tuple[slice, slice]
"""Some rows and some columns of the 14 x 14 cells."""
EVERY_CELL: Cells = (slice(None), slice(None))


class RegionPooling:
    """The pooling of one picture's feature map.

    A box covers the points from its rounded corner to its other rounded corner, both included.
    Where that reaches beyond the map (by one point, as a picture's own edge does) only the points
    on the map count, and a cell without any is 0.

    The maximum of a cell is that of four windows whose sides are powers of two, which may overlap.
    The maxima of all windows of such sizes are computed once for all boxes.
    """

    def __init__(self, features: Tensor, boxes: Tensor) -> None:
        """features [1, C, H, W]; boxes [n, 4], those to be pooled, on the CPU, in pixels."""
        corners = _corners(boxes)
        sides = corners[:, 2:] - corners[:, :2] + 1
        # A cell of a box of n points has at most ceil(n / 14) + 1 of them.
        most = (-(-sides.amax(dim=0) // _CELLS) + 1).tolist()
        level = features[0].permute(1, 2, 0).contiguous()  # [H, W, C]
        self._height, self._width, channels = level.shape
        windows = [level]
        for size in _powers(min(most[1], self._height)):
            windows.append(torch.maximum(windows[-1], _shifted(windows[-1], size // 2, 0)))
        self._columns_levels = 1 + len(_powers(min(most[0], self._width)))
        table = []
        for level in windows:
            table.append(level)
            for size in _powers(min(most[0], self._width)):
                table.append(torch.maximum(table[-1], _shifted(table[-1], size // 2, 1)))
        self._table = torch.stack(table).view(-1, channels)

    def __call__(self, boxes: Tensor, cells: Cells) -> Tensor:
        """Pool some cells of boxes [n, 4] that were announced. [n, C, rows, columns]

        The result is in the channels-last format, in which a CPU convolves twice as fast.
        """
        left, top, right, bottom = _corners(boxes).unbind(dim=1)
        rows = _Spans(top, bottom, self._height, cells[0])
        columns = _Spans(left, right, self._width, cells[1])
        level = rows.level[:, :, None] * self._columns_levels + columns.level[:, None, :]
        pooled = None
        for y in (rows.first, rows.last):
            for x in (columns.first, columns.last):
                index = (level * self._height + y[:, :, None]) * self._width + x[:, None, :]
                values = self._table.index_select(0, index.flatten().to(self._table.device))
                pooled = values if pooled is None else torch.maximum(pooled, values, out=pooled)
        assert pooled is not None
        pooled = pooled.view(*level.shape, -1)
        empty = rows.empty[:, :, None] | columns.empty[:, None, :]
        if empty.any():
            pooled[empty.to(pooled.device)] = 0
        return pooled.permute(0, 3, 1, 2)


class _Spans:
    """The points of cells along one side of boxes, as two windows of 2 ** level points.

    Cells are computed in float32 as Caffe and ONNX Runtime do. Rounding gives a box of 57 or 62
    points one more point in one cell than exact fractions would.

    level, first, last: [n, cells] int64, the size of the windows and where they begin; empty
    [n, cells] bool, cells without a point on the map.
    """

    def __init__(self, low: Tensor, high: Tensor, length: int, cells: slice) -> None:
        cell = torch.arange(_CELLS)[cells]
        low = low[:, None]
        size = (high[:, None] - low + 1).float() / _CELLS
        start = low + (cell * size).floor().long()
        end = (low + ((cell + 1) * size).ceil().long()).clamp(max=length)
        self.empty = end <= start
        count = (end - start).clamp(min=1)
        self.level = torch.frexp(count.double())[1].long() - 1  # the largest power not above it
        self.first = start.clamp(max=length - 1)
        self.last = (end - (1 << self.level)).clamp(min=0, max=length - 1)


def _corners(boxes: Tensor) -> Tensor:
    """Points of the map at the corners of boxes [n, 4]: x1, y1, x2, y2. [n, 4] int64

    Halves are rounded away from zero, as C rounds; exact in double precision.
    """
    return (boxes.double() / STRIDE + 0.5).floor().long()


def _powers(limit: int) -> list[int]:
    """2, 4, 8, … up to `limit`."""
    return [1 << power for power in range(1, limit.bit_length())]


def _shifted(values: Tensor, by: int, dim: int) -> Tensor:
    """Values moved towards index 0; at the end the last ones are repeated."""
    length = values.shape[dim]
    return values.index_select(
        dim, torch.arange(by, length + by, device=values.device).clamp(max=length - 1)
    )
