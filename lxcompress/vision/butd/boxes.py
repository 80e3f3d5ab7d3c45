"""Boxes of the bottom-up-attention detector: anchors, regression, suppression, picture sizes.

Boxes are [n, 4] float32, xyxy in pixels of the resized picture; a box's width is x2 - x1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# exp(dw) and exp(dh) are limited to what scales a box of 16 pixels to 1000.
LARGEST_LOG_SCALE = math.log(1000 / 16)


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """The anchors around one point, by size and then by ratio (height / width). [A, 4]"""
    sides = [
        (math.sqrt(size**2 / ratio), ratio * math.sqrt(size**2 / ratio))
        for size in sizes
        for ratio in ratios
    ]
    return torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for w, h in sides])


def grid_anchors(cell: Tensor, height: int, width: int, stride: int) -> Tensor:
    """`cell` [A, 4] around each point of a feature map, by row, column, anchor. [H * W * A, 4]"""
    y = torch.arange(height, dtype=cell.dtype, device=cell.device) * stride
    x = torch.arange(width, dtype=cell.dtype, device=cell.device) * stride
    y, x = torch.meshgrid(y, x, indexing="ij")
    points = torch.stack([x, y, x, y], dim=-1)
    return (points[:, :, None] + cell).reshape(-1, 4)


def shift_boxes(boxes: Tensor, deltas: Tensor, weights: Sequence[float]) -> Tensor:
    """Boxes [n, 4] moved and scaled by regression deltas [n, 4] (dx, dy, dw, dh). [n, 4]

    dx and dy are in widths and heights of the box, dw and dh are logarithms; all are first
    divided by `weights`. From R-CNN (Girshick et al. 2014), appendix C.
    """
    dx, dy, dw, dh = (deltas / deltas.new_tensor(weights)).unbind(dim=1)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    x = dx * width + (boxes[:, 0] + 0.5 * width)
    y = dy * height + (boxes[:, 1] + 0.5 * height)
    width = dw.clamp(max=LARGEST_LOG_SCALE).exp() * width
    height = dh.clamp(max=LARGEST_LOG_SCALE).exp() * height
    corners = [x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height]
    return torch.stack(corners, dim=1)


def clip_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """The part of each box inside a picture of this size; empty boxes are kept. [n, 4]"""
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def suppress(boxes: Tensor, scores: Tensor, threshold: float, limit: int) -> Tensor:
    """Greedy non-maximum suppression: the rows of at most `limit` boxes, best score first.

    A box is suppressed if its intersection over union with a better box that is kept is above
    `threshold`; of equal scores the earlier row is better. Two empty boxes do not overlap.
    """
    kept: list[Tensor] = []
    remaining = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(remaining) and len(kept) < limit:
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        others = boxes[remaining]
        sides = torch.minimum(boxes[best, 2:], others[:, 2:])
        sides = (sides - torch.maximum(boxes[best, :2], others[:, :2])).clamp(min=0)
        common = sides[:, 0] * sides[:, 1]
        # NaN, from two empty boxes, is not above the threshold.
        remaining = remaining[~(common / (area[best] + area[remaining] - common) > threshold)]
    return torch.stack(kept) if kept else remaining


def resized_size(
    height: int, width: int, short: int, long: int, smallest: int = 1
) -> tuple[int, int]:
    """Height and width with short side `short`, or less where the long side would exceed `long`.

    Rounds halves up, as Detectron2's ResizeShortestEdge. No side becomes shorter than `smallest`,
    so that a very narrow picture is stretched.
    """
    scale = short / min(height, width)
    sides = [short, scale * width] if height < width else [scale * height, short]
    if max(sides) > long:
        sides = [side * (long / max(sides)) for side in sides]
    new_height, new_width = (max(smallest, int(side + 0.5)) for side in sides)
    return new_height, new_width
