"""Matching the regions of two detectors."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from stub_detector import StubDetector

from lxcompress.vision.comparison import compare_detectors, compare_regions
from lxcompress.vision.regions import RegionObjects, Regions


def regions(boxes: list[list[float]], features: list[list[float]], ids: list[int]) -> Regions:
    sure = np.ones(len(ids), np.float32)
    objects = RegionObjects(np.array(ids), sure, np.zeros(len(ids), np.int64), sure)
    return Regions(np.array(features, np.float32), np.array(boxes, np.float32), objects)


EXACT = regions(
    [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.2, 0.2, 0.2, 0.9]], [[1, 0], [0, 2], [0, 0]], [5, 6, 7]
)


def test_equal_regions_in_another_order() -> None:
    order = [2, 0, 1]
    other = regions(EXACT.boxes[order].tolist(), EXACT.features[order].tolist(), [7, 5, 6])
    found = compare_regions(EXACT, other)
    assert (found.regions, found.matched, found.same) == (3, 3, 3)
    assert found.feature_difference == found.largest_box_difference == 0


def test_moved_boxes_other_classes_and_features() -> None:
    other = regions(
        [[0, 0, 0.5, 0.49], [0.5, 0.5, 1, 0.9]], [[1, 0.1], [0, 2]], [4, 6]
    )  # overlaps of 0.98 and 0.8
    found = compare_regions(EXACT, other)
    assert (found.regions, found.matched, found.same) == (3, 1, 0)
    assert found.feature_difference == pytest.approx(0.1)
    assert found.largest_feature_difference == pytest.approx(0.05)
    assert found.largest_box_difference == pytest.approx(0.01)


def test_nothing_in_common() -> None:
    found = compare_regions(EXACT, regions([[0.7, 0, 0.8, 0.1]], [[1, 1]], [1]))
    assert (found.matched, found.same, found.feature_difference) == (0, 0, 0)


def test_two_detectors_and_their_time() -> None:
    calls: list[tuple[str, int]] = []

    class Recorded(StubDetector):
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

        def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
            calls.append((self.kind, pictures[0].width))
            return super().detect(pictures)

    pictures = [Image.new("RGB", (width, 20)) for width in (30, 31, 32)]
    compared = list(compare_detectors(Recorded("exact"), Recorded("other"), pictures))
    for found in compared:
        assert (found.regions, found.matched, found.same) == (1, 1, 1)
        assert found.exact_seconds > 0 and found.other_seconds > 0
    assert calls == [
        *(("exact", 30), ("other", 30)),  # not timed
        *(("exact", 30), ("other", 30)),
        *(("other", 31), ("exact", 31)),
        *(("exact", 32), ("other", 32)),
    ]
    assert len(compared) == 3
