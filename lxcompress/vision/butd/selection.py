"""Which proposals become a picture's regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lxcompress.vision.butd.boxes import clip_boxes, shift_boxes, suppress
from lxcompress.vision.butd.setting import MAX_REGIONS
from lxcompress.vision.regions import RegionObjects, Regions

OVERLAPS = (0.5, 0.6, 0.7)  # tried in turn until enough regions remain
CLASS_WEIGHTS = (10.0, 10.0, 5.0, 5.0)

# What an estimate of confidences may still leave out of the selection, measured on photographs.
DISTINCT_CANDIDATES, CANDIDATES = 68, 100


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


def select(proposals: Proposals, height: int, width: int) -> Regions:
    """Select a picture's regions from its proposals, as for LXMERT's features.

    Each proposal gets its most probable class other than the background, and that class's box.
    Non-maximum suppression ignores classes; its threshold rises until 36 boxes remain. The best
    box is never suppressed, so there is at least one.
    """
    confidences, classes, boxes = _classified(proposals, height, width)
    for overlap in OVERLAPS:
        kept = suppress(boxes, confidences, overlap, MAX_REGIONS)
        if len(kept) == MAX_REGIONS:
            break
    attribute_logits = proposals.attribute_logits[kept, :-1]
    attribute_confidences, attributes = attribute_logits.softmax(dim=1).max(dim=1)
    fractions = boxes[kept] / boxes.new_tensor([width, height, width, height])
    objects = RegionObjects(
        class_ids=classes[kept].numpy(),
        class_confidences=confidences[kept].numpy(),
        attribute_ids=attributes.numpy(),
        attribute_confidences=attribute_confidences.numpy(),
    )
    return Regions(proposals.features[kept].numpy(), fractions.numpy(), objects)


def candidates(estimates: Proposals, height: int, width: int) -> Tensor:
    """The rows of up to 100 proposals that `select` can choose, from estimates of their values.

    Those that `select` would choose if it went on after the 36th, and then the most confident ones,
    which a small change can raise above the one that suppresses them. In the order of the rows.
    """
    confidences, _, boxes = _classified(estimates, height, width)
    for overlap in OVERLAPS:
        distinct = suppress(boxes, confidences, overlap, DISTINCT_CANDIDATES)
        if len(distinct) >= MAX_REGIONS:
            break
    ranks = confidences.index_add(0, distinct, torch.ones(len(distinct)))
    return ranks.argsort(descending=True, stable=True)[:CANDIDATES].sort().values


def _classified(proposals: Proposals, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Confidence [n] and class [n] of each proposal, and its box [n, 4] regressed and clipped."""
    confidences, classes = proposals.class_logits.softmax(dim=1)[:, :-1].max(dim=1)
    deltas = proposals.deltas[torch.arange(len(classes)), classes]
    boxes = clip_boxes(shift_boxes(proposals.boxes, deltas, CLASS_WEIGHTS), height, width)
    return confidences, classes, boxes
