"""Features, classes, attributes and boxes of proposals, of all or of the most promising ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.resnet import Bottleneck, blocks_of, stage
from lxcompress.vision.butd.roi_pool import EVERY_CELL, Cells, RegionPooling
from lxcompress.vision.butd.selection import Proposals, candidates
from lxcompress.vision.butd.winograd import WinogradConvolution

_ROIS_AT_ONCE = 32  # of 300; bounds the memory of res5
_DILATION = 2

# A dilation of 2 never mixes cells of even and odd rows or columns, and everything else in res5 is
# pointwise. So res5 on the 14 x 14 cells is exactly res5 without dilation on four grids of 7 x 7.
_QUARTERS: tuple[Cells, ...] = tuple(
    (slice(row, None, _DILATION), slice(column, None, _DILATION))
    for row in range(_DILATION)
    for column in range(_DILATION)
)

_Middle = Callable[[Tensor], Tensor]


class BoxPredictor(nn.Module):
    """Class, box and attribute of regions [n, 32 * width]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        size, classes = architecture.feature_size, architecture.classes
        self.cls_score = nn.Linear(size, classes + 1)
        self.bbox_pred = nn.Linear(size, 4 * classes)
        self.cls_embedding = nn.Embedding(classes + 1, size // 8)
        self.fc_attr = nn.Linear(size + size // 8, size // 4)
        self.attr_score = nn.Linear(size // 4, architecture.attributes + 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, attribute logits, box deltas [n, classes * 4]."""
        class_logits = self.cls_score(features)
        # The class that conditions the attribute may be the background.
        embedded = self.cls_embedding(class_logits.argmax(dim=1))
        inner = self.fc_attr(torch.cat([features, embedded], dim=1)).relu_()
        return class_logits, self.attr_score(inner), self.bbox_pred(features)


class RegionHeads(nn.Module):
    """Features, classes, attributes and boxes of the proposals."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        size = architecture.feature_size
        self.res5 = stage(3, size // 2, size, dilation=_DILATION)
        self.box_predictor = BoxPredictor(architecture)

    def forward(self, features: Tensor, boxes: Tensor) -> Proposals:
        """Compute everything of every proposal.

        features [1, C, H, W] of a picture; boxes [n, 4] on the CPU, in pixels.
        """
        pooling = RegionPooling(features, boxes)
        middles = [block.conv2 for block in self._blocks]
        return self._predict(self._mean(pooling, boxes, EVERY_CELL, middles), boxes)

    def screened(self, features: Tensor, boxes: Tensor, height: int, width: int) -> Proposals:
        """Compute everything of the proposals that can be selected, in a picture of this size.

        Which they are, a quarter of each proposal's cells decides. Their features are those of
        `forward`, up to rounding.
        """
        pooling, middles = RegionPooling(features, boxes), self._undilated
        first = self._mean(pooling, boxes, _QUARTERS[0], middles)
        chosen = candidates(self._predict(first, boxes), height, width)
        total = first[chosen.to(first.device)]
        for quarter in _QUARTERS[1:]:
            total = total + self._mean(pooling, boxes[chosen], quarter, middles)
        return self._predict(total / len(_QUARTERS), boxes[chosen])

    @property
    def _blocks(self) -> list[Bottleneck]:
        return blocks_of(self.res5)

    @cached_property
    def _undilated(self) -> list[_Middle]:
        """The 3x3 convolution of each block of res5, without dilation."""
        weight = self._blocks[0].conv2.weight
        if weight.device.type == "cpu" and weight.dtype == torch.float32:
            return [WinogradConvolution(block.conv2) for block in self._blocks]
        return [block.conv2.undilated for block in self._blocks]

    def _mean(
        self, pooling: RegionPooling, boxes: Tensor, cells: Cells, middles: Sequence[_Middle]
    ) -> Tensor:
        """The mean of res5 over some cells of each box. [n, 32 * width] float32"""
        means = []
        for some in boxes.split(_ROIS_AT_ONCE):
            x = pooling(some, cells)
            for block, middle in zip(self._blocks, middles, strict=True):
                x = block(x, middle)
            means.append(x.float().mean(dim=(2, 3)))
        return torch.cat(means)

    def _predict(self, features: Tensor, boxes: Tensor) -> Proposals:
        class_logits, attribute_logits, deltas = self.box_predictor(features)
        return Proposals(
            boxes=boxes,
            features=features.cpu(),
            class_logits=class_logits.cpu(),
            attribute_logits=attribute_logits.cpu(),
            deltas=deltas.view(len(boxes), -1, 4).cpu(),
        )
