"""RoIPool against the numpy reference."""

import butd_reference as reference
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.vision.butd.roi_pool import EVERY_CELL, RegionPooling


def pool(features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    return RegionPooling(features, boxes)(boxes, EVERY_CELL)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    rows=st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_region_pooling(height: int, width: int, rows: list, seed: int) -> None:
    """Boxes over the whole picture, to its edges, to halves of a point, and empty ones."""
    # A feature map of n points comes from a picture of 16 * n or a few pixels less or more.
    picture = np.array([width, height, width, height]) * 16 + seed % 9 - 3
    boxes = np.sort(np.array(rows).reshape(-1, 2, 2), axis=1).reshape(-1, 4) * picture
    boxes = np.concatenate([boxes.round(), boxes // 8 * 8, boxes, [[0, 0, *picture[:2]]]])
    boxes = boxes.clip(0).astype(np.float32)
    features = torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed))
    found = pool(features[None], torch.from_numpy(boxes)).numpy()
    assert found.shape == (len(boxes), 2, 14, 14)
    for one, box in zip(found, boxes, strict=True):
        np.testing.assert_array_equal(one, reference.roi_pool(features.double().numpy(), box))
    pooling = RegionPooling(features[None], torch.from_numpy(boxes))
    some = pooling(torch.from_numpy(boxes), (slice(1, None, 2), slice(0, None, 2)))
    np.testing.assert_array_equal(some, found[:, :, 1::2, ::2])


def test_halves_of_a_point_round_up() -> None:
    features = torch.arange(4.0).reshape(1, 1, 1, 4)
    # 24 pixels are one and a half points: the box begins at point 2.
    pooled = pool(features, torch.tensor([[24.0, 0, 48, 0], [23.9, 0, 48, 0]]))
    assert pooled[0].min() == 2 and pooled[1].min() == 1


def test_cells_are_rounded_as_in_caffe_and_onnx_runtime() -> None:
    """For 57 and 62 points, float32 gives other cells than exact fractions."""
    points = torch.arange(84.0).expand(1, 1, 84, 84)
    for count, (row, last) in ((57, (12, 52)), (62, (6, 30))):
        boxes = torch.tensor([[0.0, 0, 16 * (count - 1), 16 * (count - 1)]])
        pooled = pool(points, boxes)
        expected = reference.roi_pool(points[0].double().numpy(), boxes[0].numpy())
        np.testing.assert_array_equal(pooled[0], expected)
        assert pooled[0, 0, 0, row] == last
    assert pool(points, torch.tensor([[0.0, 0, 896, 896]]))[0, 0, 0, 13] == 57
