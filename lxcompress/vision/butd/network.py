"""The bottom-up-attention network: a Faster R-CNN on ResNet-101 C4 with attributes.

Anderson et al. 2018 (arXiv 1707.07998), trained on Visual Genome; LXMERT's regions come from it.
Parameters have the names and shapes of the checkpoint `unc-nlp/frcnn-vg-finetuned`, which are
those of Detectron2. It is for inference only: batch normalisation uses its stored statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lxcompress.vision.butd.boxes import (
    cell_anchors,
    clip_boxes,
    grid_anchors,
    shift_boxes,
    suppress,
)
from lxcompress.vision.butd.resnet import Backbone, stage

STRIDE = 16  # pixels of the picture per point of the feature map
_POOLED = 14
_ROIS_AT_ONCE = 32  # of 300; bounds the memory of res5
_MAX_BEFORE_SUPPRESSION, _PROPOSAL_OVERLAP = 6000, 0.7
_ANCHOR_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of the network; the defaults are those of the published weights.

    blocks: residual blocks of res2, res3 and res4 (res5 has three).
    width: channels of the stem, from which all others follow; res5 has 32 times as many.
    classes, attributes: without the background or "none", which comes last.
    short_side, long_side: what pictures are resized to, in pixels; max_proposals: after
    suppression.
    """

    blocks: tuple[int, int, int] = (3, 4, 23)
    width: int = 64
    classes: int = 1600
    attributes: int = 400
    anchor_sizes: tuple[int, ...] = (64, 128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    short_side: int = 800
    long_side: int = 1333
    max_proposals: int = 300

    @property
    def feature_size(self) -> int:
        """Numbers per region: channels of res5."""
        return 32 * self.width


@dataclass(frozen=True, eq=False)
class Proposals:
    """The network's output for a picture, before the selection; on the CPU, float32.

    boxes [n, 4]: proposals, xyxy in pixels of the resized picture, the most probable first.
    features [n, 32 * width]: pooled on the proposals.
    class_logits [n, classes + 1], attribute_logits [n, attributes + 1]: background comes last.
    deltas [n, classes, 4]: regression of the box for each class.
    """

    boxes: Tensor
    features: Tensor
    class_logits: Tensor
    attribute_logits: Tensor
    deltas: Tensor


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
        self.max_proposals = architecture.max_proposals
        self.anchor_generator = AnchorGenerator(architecture)
        self.rpn_head = ProposalHead(architecture)

    def forward(self, features: Tensor, height: int, width: int) -> Tensor:
        """Boxes [n, 4] on the CPU in a picture of this size, most probable first; at least one."""
        objectness, deltas = self.rpn_head(features)
        _, anchors, rows, columns = objectness.shape
        scores = objectness[0].permute(1, 2, 0).flatten().cpu()
        shifts = deltas[0].view(anchors, 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4).cpu()
        cell = self.anchor_generator.cell_anchors[0].cpu()
        grid = grid_anchors(cell, rows, columns, STRIDE)

        best = scores.argsort(descending=True, stable=True)[:_MAX_BEFORE_SUPPRESSION]
        boxes = clip_boxes(shift_boxes(grid[best], shifts[best], _ANCHOR_WEIGHTS), height, width)
        inside = (boxes[:, :2] < boxes[:, 2:]).all(dim=1)
        boxes, scores = boxes[inside], scores[best][inside]
        if not len(boxes):  # none is inside the picture: propose all of it
            return boxes.new_tensor([[0, 0, width, height]])
        return boxes[suppress(boxes, scores, _PROPOSAL_OVERLAP, self.max_proposals)]


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
        self.res5 = stage(3, size // 2, size, dilation=2)
        self.box_predictor = BoxPredictor(architecture)

    def forward(self, features: Tensor, boxes: Tensor) -> Proposals:
        """features [1, C, H, W] of a picture; boxes [n, 4] on the CPU, in the picture's pixels."""
        pooled = torch.cat(
            [
                self.res5(_channels_last(pool_regions(features, some))).mean(dim=(2, 3))
                for some in boxes.split(_ROIS_AT_ONCE)
            ]
        )
        class_logits, attribute_logits, deltas = self.box_predictor(pooled)
        return Proposals(
            boxes=boxes,
            features=pooled.cpu(),
            class_logits=class_logits.cpu(),
            attribute_logits=attribute_logits.cpu(),
            deltas=deltas.view(len(boxes), -1, 4).cpu(),
        )


def pool_regions(features: Tensor, boxes: Tensor) -> Tensor:
    """RoIPool (Girshick 2015): the maxima of a 14 x 14 grid over each box. [n, C, 14, 14]

    A box covers the points of the feature map [1, C, H, W] from its rounded corner to its other
    rounded corner, both included. Where that reaches beyond the map (by one point, as a picture's
    own edge does) only the points on the map count, and a cell without any is 0.
    """
    # Halves away from zero, as C rounds; exact in double precision.
    corners = (boxes.double() / STRIDE + 0.5).floor().long().tolist()
    height, width = features.shape[-2:]
    below = max(0, max(bottom for *_, bottom in corners) + 1 - height)
    right = max(0, max(right for _, _, right, _ in corners) + 1 - width)
    nothing = float("-inf")
    padded = functional.pad(features, (0, right, 0, below), value=nothing)[0]
    pooled = torch.stack(
        [
            functional.adaptive_max_pool2d(padded[:, y1 : y2 + 1, x1 : x2 + 1], _POOLED)
            for x1, y1, x2, y2 in corners
        ]
    )
    return pooled.masked_fill_(pooled == nothing, 0) if below or right else pooled


class BottomUpNetwork(nn.Module):
    """The whole network, for one picture at a time, so that none depends on its batch."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.backbone = Backbone(self.architecture.width, self.architecture.blocks)
        self.proposal_generator = ProposalNetwork(self.architecture)
        self.roi_heads = RegionHeads(self.architecture)
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> Proposals:
        """picture: [3, H, W] float32 on the network's device, BGR, 0-255 minus the mean."""
        features = self.backbone(_channels_last(picture[None]))
        height, width = picture.shape[1:]
        boxes = self.proposal_generator(features, height, width)
        proposals: Proposals = self.roi_heads(features, boxes)
        return proposals


def _channels_last(x: Tensor) -> Tensor:
    """The same values in the memory format in which a CPU convolves twice as fast."""
    return x.contiguous(memory_format=torch.channels_last)


def expected_shapes(network: nn.Module) -> dict[str, Sequence[int]]:
    """Name and shape of every tensor in a state dict of `network`."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
