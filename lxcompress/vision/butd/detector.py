"""The bottom-up-attention detector: regions as LXMERT was trained on, for any picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lxcompress.errors import ModelError
from lxcompress.vision.butd.boxes import clip_boxes, resized_size, shift_boxes, suppress
from lxcompress.vision.butd.network import Architecture, Proposals
from lxcompress.vision.butd.weights import HUB_ID, PIXEL_MEAN, load_network
from lxcompress.vision.regions import RegionObjects, Regions

PUBLISHED = Architecture()

_MAX_REGIONS = 36
_OVERLAPS = (0.5, 0.6, 0.7)  # tried in turn until enough regions remain
_CLASS_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_SHORTEST_SIDE = 3  # pixels; the stem's pooling finds nothing in fewer


class BottomUpDetector:
    """Faster R-CNN with attributes (Anderson et al. 2018), the source of LXMERT's features.

    Features are pooled on the network's proposals; boxes are the regressed ones. Pictures are
    processed one by one, so that results do not depend on the batch, to the bit.
    """

    name = "butd"
    max_regions = _MAX_REGIONS

    def __init__(
        self,
        weights: str | Path = HUB_ID,
        device: torch.device | str = "cpu",
        architecture: Architecture | None = None,
    ) -> None:
        """`weights`: a folder with `config.yaml` and `pytorch_model.bin`, or a hub id.

        Raises ModelError when they are not available or do not fit.
        """
        architecture = architecture or PUBLISHED
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # For the whole process, which has no other convolutions. TF32 would leave features
            # with three correct digits.
            torch.backends.cudnn.allow_tf32 = False
        network, digest = load_network(weights, architecture)
        self.network = network.to(self.device).eval()
        self.feature_size = architecture.feature_size
        self.weights = f"weights sha256:{digest[:16]}"
        self._given = weights

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order.

        1 to 36 regions a picture, the most confident first, with their classes and attributes.
        Raises ModelError when the weights give values that are not finite.
        """
        return [self._detect(picture) for picture in pictures]

    @torch.inference_mode()
    def _detect(self, picture: Image.Image) -> Regions:
        pixels = prepare(picture, self.network.architecture)
        proposals = self.network(pixels.to(self.device))
        found = select(proposals, pixels.shape[1], pixels.shape[2])
        assert found.objects is not None
        for values in (found.features, found.boxes, found.objects.class_confidences):
            if not np.isfinite(values).all():
                raise ModelError(
                    "the detector computes NaN or infinity for a picture; its weights are "
                    f"damaged, or another network's: {self._given}"
                )
        return found


def prepare(picture: Image.Image, architecture: Architecture) -> Tensor:
    """The network's input for a picture: [3, H, W] float32, BGR, 0-255 minus the mean.

    Resized bilinearly without antialiasing, as by OpenCV, and by the published checkpoint's own
    code with `interpolate`.
    """
    pixels = np.asarray(picture.convert("RGB"))
    short, long = architecture.short_side, architecture.long_side
    size = resized_size(picture.height, picture.width, short, long, _SHORTEST_SIDE)
    # By channel, so that a picture of 64 megapixels takes 256 MB as floats, not 768.
    blue_green_red = [
        functional.interpolate(
            torch.tensor(pixels[None, None, :, :, channel], dtype=torch.float32),
            size=size,
            mode="bilinear",
            align_corners=False,
        )[0, 0]
        - mean
        for channel, mean in zip((2, 1, 0), PIXEL_MEAN, strict=True)
    ]
    return torch.stack(blue_green_red)


def select(proposals: Proposals, height: int, width: int) -> Regions:
    """Select a picture's regions from its proposals, as for LXMERT's features.

    Each proposal gets its most probable class other than the background, and that class's box.
    Non-maximum suppression ignores classes; its threshold rises until 36 boxes remain. The best
    box is never suppressed, so there is at least one.
    """
    confidences, classes = proposals.class_logits.softmax(dim=1)[:, :-1].max(dim=1)
    deltas = proposals.deltas[torch.arange(len(classes)), classes]
    boxes = clip_boxes(shift_boxes(proposals.boxes, deltas, _CLASS_WEIGHTS), height, width)
    for overlap in _OVERLAPS:
        kept = suppress(boxes, confidences, overlap, _MAX_REGIONS)
        if len(kept) == _MAX_REGIONS:
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
