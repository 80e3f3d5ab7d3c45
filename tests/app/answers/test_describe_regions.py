"""Regions as text."""

import numpy as np
import pytest

from app.answers.describe_regions import describe_attention, describe_position
from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import RegionObjects, Regions


@pytest.mark.parametrize(
    ("box", "position"),
    [
        ((0.0, 0.7, 0.2, 1.0), "lower left"),
        ((0.4, 0.0, 0.6, 0.2), "top"),
        ((0.4, 0.4, 0.6, 0.6), "center"),
        ((0.8, 0.4, 1.0, 0.6), "right"),
        ((0.9, 0.0, 1.0, 0.1), "upper right"),
        ((0.4, 0.9, 0.6, 1.0), "bottom"),
        ((0.0, 0.1, 1.0, 1.0), "most of the picture"),
        ((1.0, 1.0, 1.0, 1.0), "lower right"),
    ],
)
def test_positions_by_thirds(box: tuple[float, ...], position: str) -> None:
    assert describe_position(box) == position


def test_the_regions_of_most_attention_are_named_once() -> None:
    boxes = np.array(
        [[0, 0.7, 0.2, 1], [0.8, 0, 1, 0.2], [0, 0.8, 0.2, 1], [0.4, 0.4, 0.6, 0.6]], np.float32
    )
    ids, sure = np.array([5, 7, 5, 9]), np.array([0.9, 0.9, 0.9, 0.1], np.float32)
    regions = Regions(np.zeros((4, 2), np.float32), boxes, RegionObjects(ids, sure, ids, sure))
    names = region_names(regions)
    assert names[3] is None
    described = describe_attention(regions, np.array([0.3, 0.11, 0.4, 0.19]))
    assert described == [f"{names[0]}, lower left", "the center", f"{names[1]}, upper right"]
    assert describe_attention(regions, np.array([0.0, 0.2, 0.0, 0.8])) == [
        "the center",
        f"{names[1]}, upper right",
    ]
    assert describe_attention(regions, np.array([0.1, 0.1, 0.0, 0.8])) == ["the center"]
    assert describe_attention(regions, np.zeros(4)) == []
