"""The regions of a picture, and the interface of detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True, eq=False)
class RegionObjects:
    """The object and the attribute that a detector of Visual Genome's classes finds in each region.

    class_ids: [n] int64, 0-1599, as in the detector's vocabulary file.
    class_confidences: [n] float32, the class's probability.
    attribute_ids: [n] int64, 0-399.
    attribute_confidences: [n] float32, the probability of the attribute, given that there is one.
    """

    class_ids: np.ndarray
    class_confidences: np.ndarray
    attribute_ids: np.ndarray
    attribute_confidences: np.ndarray


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one picture, at least one.

    features: [n, F] float32.
    boxes: [n, 4] float32, xyxy as fractions of the picture's width and height, in 0-1.
    objects: what each shows (`region_names` gives the names); None from a detector that does not
        classify, and for regions of a file, which holds only features and boxes.
    """

    features: np.ndarray
    boxes: np.ndarray
    objects: RegionObjects | None = None


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
