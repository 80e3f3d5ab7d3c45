"""The pixel detector on generated and public pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw
from shared import SHARED

from lxcompress.data.shapes.scenes import Scene, make_scene, render
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Regions

EASY_VQA = SHARED / "easy-vqa"
DETECTOR = get_detector("pixel")


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - np.prod(sides)
    return float(np.prod(sides) / union)


@pytest.fixture(scope="module")
def detected() -> list[tuple[Scene, Regions]]:
    scenes = [make_scene(7, "train", index) for index in range(400)]
    return list(zip(scenes, DETECTOR.detect([render(s) for s in scenes]), strict=True))


def test_finds_exactly_the_shapes(detected: list[tuple[Scene, Regions]]) -> None:
    right = 0
    for scene, regions in detected:
        best = [max(overlap(np.array(s.box), box) for box in regions.boxes) for s in scene.shapes]
        right += len(regions.boxes) == len(scene.shapes) and min(best) >= 0.7
    assert right / len(detected) >= 0.99


@pytest.mark.parametrize("attribute", ["kind", "color", "size"])
def test_attributes_are_linearly_separable_by_the_features(
    detected: list[tuple[Scene, Regions]], attribute: str
) -> None:
    features, truth = [], []
    for scene, regions in detected:
        for features_of_one, box in zip(regions.features, regions.boxes, strict=True):
            shape = max(scene.shapes, key=lambda s: overlap(np.array(s.box), box))
            features.append(features_of_one)
            truth.append(getattr(shape, attribute))
    x, names = np.array(features, dtype=np.float16).astype(np.float64), np.array(truth)
    half, classes = len(x) // 2, np.unique(names)
    # Linear discriminant analysis: class means, and one covariance for all.
    means = np.stack([x[:half][names[:half] == name].mean(axis=0) for name in classes])
    within = x[:half] - means[np.searchsorted(classes, names[:half])]
    weights = np.linalg.solve(within.T @ within / half + 1e-4 * np.eye(x.shape[1]), means.T)
    scores = x[half:] @ weights - 0.5 * np.einsum("cf,fc->c", means, weights)
    assert np.mean(classes[scores.argmax(axis=1)] == names[half:]) >= 0.99


@pytest.mark.skipif(not EASY_VQA.is_dir(), reason="public pictures are not here")
@pytest.mark.parametrize("split", ["train2014", "val2014"])
def test_public_pictures_have_one_shape(split: str) -> None:
    paths = sorted((EASY_VQA / split).glob("*.png"))[:1000]
    found = DETECTOR.detect([open_picture(path) for path in paths])
    single = [len(regions.boxes) == 1 and regions.features[0, -1] == 0 for regions in found]
    assert np.mean(single) >= 0.995


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)).flatmap(
        lambda shape: arrays(np.uint8, shape)
    )
)
def test_any_picture_gives_valid_regions(pixels: np.ndarray) -> None:
    picture = Image.fromarray(pixels)
    (regions,) = DETECTOR.detect([picture])
    count = len(regions.boxes)
    assert 1 <= count <= DETECTOR.max_regions
    assert regions.features.shape == (count, DETECTOR.feature_size)
    assert regions.boxes.shape == (count, 4)
    assert regions.features.dtype == regions.boxes.dtype == np.float32
    assert np.abs(regions.features).max() <= 4
    assert (regions.boxes[:, :2] < regions.boxes[:, 2:]).all()
    assert regions.boxes.min() >= 0
    assert regions.boxes.max() <= 1
    (again,) = DETECTOR.detect([picture])
    assert np.array_equal(again.features, regions.features)


def test_an_empty_picture_is_one_region() -> None:
    (regions,) = DETECTOR.detect([Image.new("RGB", (30, 20), "ivory")])
    assert regions.boxes.tolist() == [[0, 0, 1, 1]]
    assert regions.features[0, -1] == 1


def test_shape_at_the_border_and_shape_with_weak_contrast() -> None:
    picture = Image.new("RGB", (64, 64), (200, 200, 200))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 19, 9), fill="black")
    draw.rectangle((40, 40, 47, 47), fill=(170, 170, 170))
    (regions,) = DETECTOR.detect([picture])
    assert (regions.boxes * 64).tolist() == [[0, 0, 20, 10], [40, 40, 48, 48]]
    assert regions.features[:, :64].min() == 0.25  # every cell is full


@pytest.mark.parametrize(
    ("colour", "points"),
    [
        ((255, 0, 0), {18: 3.0}),  # lattice point (1, -1, -1) is number 2 * 9
        ((0, 0, 255), {2: 3.0}),
        ((255, 255, 255), {26: 3.0}),
        ((255, 64, 0), {18: 3 * 127 / 255, 21: 3 * 128 / 255}),  # green half-way to the middle
    ],
)
def test_colour_is_distributed_over_the_lattice(
    colour: tuple[int, int, int], points: dict[int, float]
) -> None:
    picture = Image.new("RGB", (40, 40), (90, 110, 130))
    ImageDraw.Draw(picture).rectangle((10, 10, 29, 29), fill=colour)
    (regions,) = DETECTOR.detect([picture])
    expected = np.zeros(27)
    expected[list(points)] = list(points.values())
    assert regions.features[0, 79:106] == pytest.approx(expected, abs=0.02)


def test_boxes_of_a_large_picture_are_relative_to_its_size() -> None:
    picture = Image.new("RGB", (1600, 800), "white")
    ImageDraw.Draw(picture).ellipse((400, 200, 800, 600), fill="green")
    (regions,) = DETECTOR.detect([picture])
    assert regions.boxes[0] == pytest.approx([0.25, 0.25, 0.5, 0.75], abs=0.01)


def test_strong_noise_is_no_object() -> None:
    picture = np.full((96, 96, 3), 120.0)
    picture[30:60, 20:50] = (220, 40, 40)
    picture += np.random.default_rng(0).normal(0, 14, picture.shape)
    (regions,) = DETECTOR.detect([Image.fromarray(picture.clip(0, 255).astype(np.uint8))])
    assert len(regions.boxes) == 1
    assert overlap(regions.boxes[0], np.array([20, 30, 50, 60]) / 96) > 0.8
