"""The regions of a picture, and the interface of detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one picture, at least one.

    features: [n, F] float32.
    boxes: [n, 4] float32, xyxy as fractions of the picture's width and height, in 0-1.
    """

    features: np.ndarray
    boxes: np.ndarray


class Detector(Protocol):
    """Finds 1 to `max_regions` regions in a picture, with `feature_size` features each."""

    name: str
    feature_size: int
    max_regions: int

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order."""
        ...


@runtime_checkable
class LearnedDetector(Detector, Protocol):
    """A detector with trained weights; `weights` identifies them."""

    weights: str
