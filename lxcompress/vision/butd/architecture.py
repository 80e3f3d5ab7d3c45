"""Sizes of the bottom-up-attention network."""

from __future__ import annotations

from dataclasses import dataclass

from lxcompress.vision.butd.setting import MAX_PROPOSALS

STRIDE = 16  # pixels of the picture per point of the feature map


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
    max_proposals: int = MAX_PROPOSALS

    @property
    def feature_size(self) -> int:
        """Numbers per region: channels of res5."""
        return 32 * self.width
