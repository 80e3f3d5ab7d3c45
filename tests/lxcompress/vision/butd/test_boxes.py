"""Anchors, box regression, suppression and picture sizes, against plain Python."""

import math

import butd_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.boxes import (
    cell_anchors,
    clip_boxes,
    grid_anchors,
    resized_size,
    shift_boxes,
    suppress,
)

# On a grid of quarters everything that suppression compares is exact in float32.
quarters = st.integers(0, 80).map(lambda value: value / 4)
boxes = st.tuples(quarters, quarters, quarters, quarters).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
delta = st.floats(-6, 60, width=32)


def test_the_published_anchors() -> None:
    published = Architecture()
    cell = cell_anchors(published.anchor_sizes, published.anchor_ratios)
    assert cell.shape == (12, 4) and cell.dtype == torch.float32
    # Size 64: twice as wide as high, square, twice as high as wide; 512, square.
    half, quarter = 64 / math.sqrt(2), 64 / math.sqrt(8)
    assert cell[0].tolist() == pytest.approx([-half, -quarter, half, quarter])
    assert cell[1].tolist() == [-32, -32, 32, 32]
    assert cell[2].tolist() == pytest.approx([-quarter, -half, quarter, half])
    assert cell[10].tolist() == [-256, -256, 256, 256]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 2)])
def test_anchors_of_a_grid(height: int, width: int) -> None:
    sizes, ratios = (16, 100), (0.5, 1, 3)
    found = grid_anchors(cell_anchors(sizes, ratios), height, width, 16)
    np.testing.assert_allclose(
        found, np.array(reference.anchors(sizes, ratios, height, width)), atol=1e-4
    )


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(boxes, st.tuples(delta, delta, delta, delta)), min_size=1, max_size=5),
    weights=st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]),
)
def test_box_regression(rows: list, weights: tuple[float, ...]) -> None:
    old, deltas = torch.tensor([box for box, _ in rows]), torch.tensor([d for _, d in rows])
    expected = [reference.decode(box, shift, weights) for box, shift in rows]
    np.testing.assert_allclose(shift_boxes(old, deltas, weights), expected, rtol=1e-4, atol=1e-2)


def test_no_box_grows_more_than_from_16_to_1000_pixels() -> None:
    box, none = torch.tensor([[10.0, 20.0, 26.0, 36.0]]), torch.zeros(1, 4)
    assert torch.equal(shift_boxes(box, none, (1, 1, 1, 1)), box)
    huge = shift_boxes(box, torch.tensor([[0.0, 0.0, 1e9, 99.0]]), (1, 1, 1, 1))
    assert huge.tolist() == [pytest.approx([-482, -472, 518, 528], rel=1e-5)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 50, width=32)] * 4), min_size=1, max_size=4))
def test_clipping(rows: list) -> None:
    found = clip_boxes(torch.tensor(rows), 20, 30)
    assert found.tolist() == [list(reference.clip(box, 20, 30)) for box in rows]


@settings(max_examples=300, deadline=None)
@given(
    # Few different scores, so that many are equal, and boxes that may be empty or the same.
    rows=st.lists(st.tuples(boxes, st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=14),
    threshold=st.sampled_from([0.1, 0.5, 0.6, 0.7]),
    limit=st.integers(1, 15),
)
def test_suppression(rows: list, threshold: float, limit: int) -> None:
    where = torch.tensor([box for box, _ in rows]).reshape(-1, 4)
    scores = torch.tensor([score for _, score in rows])
    expected = reference.suppress([b for b, _ in rows], scores.tolist(), threshold, limit)
    assert suppress(where, scores, threshold, limit).tolist() == expected


def test_suppression_by_hand() -> None:
    where = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5], [20, 20, 30, 30.0]])
    scores = torch.tensor([0.8, 0.9, 0.7, 0.1])
    # Row 1 is best; row 0 overlaps it by 0.9, row 2 by 5 / 9.
    assert suppress(where, scores, 0.5, 10).tolist() == [1, 3]
    assert suppress(where, scores, 0.6, 10).tolist() == [1, 2, 3]
    assert suppress(where, scores, 0.9, 10).tolist() == [1, 0, 2, 3]  # 0.9 is not above 0.9
    assert suppress(where, scores, 0.9, 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (800, 1067)),
        ((640, 480), (1067, 800)),
        ((800, 1333), (800, 1333)),
        ((500, 500), (800, 800)),
        ((1, 1), (800, 800)),
        ((375, 500), (800, 1067)),
        ((300, 640), (625, 1333)),  # 800 x 1707 would be too long
        ((8000, 6000), (1067, 800)),
        ((10, 10000), (3, 1333)),  # 1 x 1333, which the network cannot take
        ((10000, 1), (1333, 3)),
    ],
)
def test_sizes_that_pictures_are_resized_to(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized_size(*size, 800, 1333, 3) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20000), st.integers(1, 20000))
def test_sizes_are_the_exact_ones_rounded(height: int, width: int) -> None:
    found, exact = (
        resized_size(height, width, 800, 1333, 3),
        reference.resized(height, width, 800, 1333),
    )
    # Exactly half a pixel may round either way in floating point.
    assert all(abs(one - other) <= 1 for one, other in zip(found, exact, strict=True))
    assert max(found) <= 1333
    assert min(found) == 800 or max(found) == 1333
