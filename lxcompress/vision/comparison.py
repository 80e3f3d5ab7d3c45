"""How far the regions of a fast detector are from those of the exact one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from lxcompress.vision.regions import Detector, Regions

_SAME_OVERLAP = 0.9


@dataclass(frozen=True)
class Comparison:
    """The regions of one picture by two detectors.

    regions: of the exact detector.
    matched: those whose box a region of the other has, with an intersection over union of 0.9.
    same: the matched ones of the same class and attribute.
    feature_difference: norm of the difference of the matched regions' features, relative to the
        exact features' norm; 0 without any.
    largest_feature_difference: of a single number of these, relative to the largest feature.
    largest_box_difference: of a coordinate of the matched boxes, in 0-1.
    """

    regions: int
    matched: int
    same: int
    feature_difference: float
    largest_feature_difference: float
    largest_box_difference: float


def compare_regions(exact: Regions, other: Regions) -> Comparison:
    """Match each exact region with the region of the other that overlaps it most.

    Of equally good ones (boxes without area, for instance) that of the closest features.
    """
    overlap = _overlaps(exact.boxes, other.boxes)
    distance = np.linalg.norm(exact.features[:, None] - other.features[None], axis=2)
    nearest = distance / max(float(distance.max()), 1e-9)
    best = (overlap.round(3) - 1e-4 * nearest).argmax(axis=1)
    matched = overlap[np.arange(len(best)), best] >= _SAME_OVERLAP
    partner = best[matched]
    difference = exact.features[matched] - other.features[partner]
    norm = float(np.linalg.norm(exact.features[matched]))
    boxes = exact.boxes[matched] - other.boxes[partner]
    return Comparison(
        regions=len(best),
        matched=int(matched.sum()),
        same=_same_objects(exact, other, matched, partner),
        feature_difference=float(np.linalg.norm(difference)) / norm if norm else 0.0,
        largest_feature_difference=_largest(difference) / max(float(exact.features.max()), 1e-9),
        largest_box_difference=_largest(boxes),
    )


@dataclass(frozen=True)
class TimedComparison(Comparison):
    """A comparison with the time that each detector took for the picture."""

    exact_seconds: float
    other_seconds: float


def compare_detectors(
    exact: Detector, other: Detector, pictures: Iterable[Image.Image]
) -> Iterator[TimedComparison]:
    """Detect the regions of each picture with both detectors, which take turns to be the first.

    Both detect those of the first picture once before, as a detector allocates and prepares then.
    """
    detectors = {"exact": exact, "other": other}
    for number, picture in enumerate(pictures):
        if number == 0:
            for detector in detectors.values():
                detector.detect([picture])
        found, seconds = {}, {}
        for name in reversed(detectors) if number % 2 else detectors:
            start = time.perf_counter()
            (found[name],) = detectors[name].detect([picture])
            seconds[name] = time.perf_counter() - start
        yield TimedComparison(
            **asdict(compare_regions(found["exact"], found["other"])),
            exact_seconds=seconds["exact"],
            other_seconds=seconds["other"],
        )


def _same_objects(exact: Regions, other: Regions, matched: np.ndarray, partner: np.ndarray) -> int:
    one, two = exact.objects, other.objects
    if one is None or two is None:
        return int(matched.sum())
    classes = one.class_ids[matched] == two.class_ids[partner]
    attributes = one.attribute_ids[matched] == two.attribute_ids[partner]
    return int((classes & attributes).sum())


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max()) if values.size else 0.0


def _overlaps(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [n, 4] and [m, 4]; 1 for equal boxes without area."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    common = (high - low).clip(min=0).prod(axis=2)
    area_one, area_two = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, two))
    union = area_one[:, None] + area_two[None] - common
    equal = np.abs(one[:, None] - two[None]).max(axis=2) < 1e-3
    return np.where(equal, 1.0, common / np.maximum(union, 1e-12))
