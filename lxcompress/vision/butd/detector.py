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
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.boxes import resized_size
from lxcompress.vision.butd.selection import select
from lxcompress.vision.butd.setting import EXACT, MAX_REGIONS, DetectorSetting, describe_weights
from lxcompress.vision.butd.weights import HUB_ID, PIXEL_MEAN, load_network
from lxcompress.vision.regions import Regions

PUBLISHED = Architecture()

_SHORTEST_SIDE = 3  # pixels; the stem's pooling finds nothing in fewer


class BottomUpDetector:
    """Faster R-CNN with attributes (Anderson et al. 2018), the source of LXMERT's features.

    Features are pooled on the network's proposals; boxes are the regressed ones. Pictures are
    processed one by one, so that results do not depend on the batch, to the bit.
    """

    name = "butd"
    max_regions = MAX_REGIONS

    def __init__(
        self,
        weights: str | Path = HUB_ID,
        device: torch.device | str = "cpu",
        architecture: Architecture | None = None,
        setting: DetectorSetting = EXACT,
    ) -> None:
        """`weights`: a folder with `config.yaml` and `pytorch_model.bin`, or a hub id.

        Raises:
            ModelError: they are not available or do not fit.
            ConfigError: the device cannot compute in the setting's precision.
        """
        architecture = architecture or PUBLISHED
        self.device = torch.device(device)
        self.setting = setting.definite(self.device.type)
        if self.device.type == "cuda":
            # For the whole process, which has no other convolutions. TF32 would leave features
            # with three correct digits.
            torch.backends.cudnn.allow_tf32 = False
        network, digest = load_network(weights, architecture)
        self.network = network.to(self.device).eval()
        if self.setting.precision == "bf16":
            self.network.convolve_in(torch.bfloat16)
        self.feature_size = architecture.feature_size
        self.weights = describe_weights(digest, self.setting)
        self._given = weights

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order.

        1 to 36 regions a picture, the most confident first, with their classes and attributes.
        Raises ModelError when the weights give values that are not finite.
        """
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image.Image) -> Regions:
        found = self.find(prepare(picture, self.network.architecture))
        check_finite(found, self._given)
        return found

    @torch.inference_mode()
    def find(self, pixels: Tensor) -> Regions:
        """The regions of a prepared picture [3, H, W]."""
        proposals = self.network(
            pixels.to(self.device), self.setting.proposals, screening=self.setting.screening
        )
        return select(proposals, pixels.shape[1], pixels.shape[2])


def check_finite(found: Regions, weights: str | Path) -> None:
    """Raise ModelError when regions with objects have a value that is NaN or infinite."""
    assert found.objects is not None
    for values in (found.features, found.boxes, found.objects.class_confidences):
        if not np.isfinite(values).all():
            raise ModelError(
                "the detector computes NaN or infinity for a picture; its weights are "
                f"damaged, or another network's: {weights}"
            )


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
