"""The bottom-up-attention network: a Faster R-CNN on ResNet-101 C4 with attributes.

Anderson et al. 2018 (arXiv 1707.07998), trained on Visual Genome; LXMERT's regions come from it.
Parameters have the names and shapes of the checkpoint `unc-nlp/frcnn-vg-finetuned`, which are
those of Detectron2. It is for inference only: batch normalisation uses its stored statistics.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lxcompress.vision.butd.architecture import STRIDE, Architecture
from lxcompress.vision.butd.boxes import (
    cell_anchors,
    clip_boxes,
    grid_anchors,
    shift_boxes,
    suppress,
)
from lxcompress.vision.butd.heads import RegionHeads
from lxcompress.vision.butd.resnet import Backbone
from lxcompress.vision.butd.selection import Proposals

MAX_BEFORE_SUPPRESSION, PROPOSAL_OVERLAP = 6000, 0.7
ANCHOR_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


class AnchorGenerator(nn.Module):
    """The anchors of one point, which are among the checkpoint's parameters."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        anchors = cell_anchors(architecture.anchor_sizes, architecture.anchor_ratios)
        self.cell_anchors = nn.ParameterList([nn.Parameter(anchors)])


class ProposalHead(nn.Module):
    """Objectness [1, A, H, W] and box deltas [1, 4 * A, H, W] of the anchors at each point."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        anchors = len(architecture.anchor_sizes) * len(architecture.anchor_ratios)
        inner = 8 * architecture.width
        self.conv = nn.Conv2d(16 * architecture.width, inner, 3, padding=1)
        self.objectness_logits = nn.Conv2d(inner, anchors, 1)
        self.anchor_deltas = nn.Conv2d(inner, 4 * anchors, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.conv(features).relu_()
        return self.objectness_logits(inner), self.anchor_deltas(inner)


class ProposalNetwork(nn.Module):
    """The region proposal network."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.anchor_generator = AnchorGenerator(architecture)
        self.rpn_head = ProposalHead(architecture)

    def forward(self, features: Tensor, height: int, width: int, limit: int) -> Tensor:
        """Up to `limit` boxes on the CPU in a picture of this size, most probable first. [n, 4]

        There is at least one.
        """
        objectness, deltas = (values.float().cpu() for values in self.rpn_head(features))
        _, anchors, rows, columns = objectness.shape
        scores = objectness[0].permute(1, 2, 0).flatten()
        shifts = deltas[0].view(anchors, 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4)
        cell = self.anchor_generator.cell_anchors[0].cpu()
        grid = grid_anchors(cell, rows, columns, STRIDE)

        best = scores.argsort(descending=True, stable=True)[:MAX_BEFORE_SUPPRESSION]
        boxes = clip_boxes(shift_boxes(grid[best], shifts[best], ANCHOR_WEIGHTS), height, width)
        inside = (boxes[:, :2] < boxes[:, 2:]).all(dim=1)
        boxes, scores = boxes[inside], scores[best][inside]
        if not len(boxes):  # none is inside the picture: propose all of it
            return boxes.new_tensor([[0, 0, width, height]])
        return boxes[suppress(boxes, scores, PROPOSAL_OVERLAP, limit)]


class BottomUpNetwork(nn.Module):
    """The whole network, for one picture at a time, so that none depends on its batch."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.backbone = Backbone(self.architecture.width, self.architecture.blocks)
        self.proposal_generator = ProposalNetwork(self.architecture)
        self.roi_heads = RegionHeads(self.architecture)
        self.requires_grad_(False)

    def forward(
        self, picture: Tensor, proposals: int | None = None, *, screening: bool = False
    ) -> Proposals:
        """Propose regions of a picture, and compute what is known of each.

        Args:
            picture: [3, H, W] float32 on the network's device, BGR, 0-255 minus the mean.
            proposals: how many at most; None for all.
            screening: compute only those that can be selected (`RegionHeads.screened`).
        """
        limit = min(proposals or self.architecture.max_proposals, self.architecture.max_proposals)
        features = self.backbone(_channels_last(picture[None].to(self.dtype)))
        height, width = picture.shape[1:]
        boxes = self.proposal_generator(features, height, width, limit)
        if screening:
            return self.roi_heads.screened(features, boxes, height, width)
        found: Proposals = self.roi_heads(features, boxes)
        return found

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the convolutions."""
        return self.backbone.stem.conv1.weight.dtype

    def convolve_in(self, dtype: torch.dtype) -> None:
        """Change the precision of the convolutions; all else stays in float32."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.to(dtype)


def _channels_last(x: Tensor) -> Tensor:
    """The same values in the memory format in which a CPU convolves twice as fast."""
    return x.contiguous(memory_format=torch.channels_last)


def expected_shapes(network: nn.Module) -> dict[str, Sequence[int]]:
    """Name and shape of every tensor in a state dict of `network`."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
