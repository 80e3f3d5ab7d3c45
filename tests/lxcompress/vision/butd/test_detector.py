"""The bottom-up-attention detector on pictures of every kind."""

import base64
import csv
from pathlib import Path

import butd_reference as reference
import numpy as np
import pytest
import torch
from butd_tiny import TINY, random_network, write_weights
from PIL import Image
from shared import SHARED

from lxcompress.errors import ModelError
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.detector import BottomUpDetector, prepare
from lxcompress.vision.butd.selection import Proposals, select
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, LearnedDetector, Regions

COCO = SHARED / "coco-sample"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"), random_network(0, TINY))


@pytest.fixture(scope="module")
def detector(weights: Path) -> BottomUpDetector:
    return BottomUpDetector(weights, architecture=TINY)


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """Smooth colours with some detail, as photographs have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3)).astype(np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def check(found: Regions, detector: BottomUpDetector, least: int = 1) -> None:
    """Properties of the regions of any picture."""
    objects = found.objects
    assert objects is not None
    count = len(objects.class_ids)
    assert least <= count <= detector.max_regions == 36
    features, boxes = found.features, found.boxes
    assert features.shape == (count, detector.feature_size) and features.dtype == np.float32
    assert boxes.shape == (count, 4) and boxes.dtype == np.float32
    assert np.isfinite(features).all() and (features >= 0).all()
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, :2] <= boxes[:, 2:]).all()
    size = detector.network.architecture
    for ids, limit in ((objects.class_ids, size.classes), (objects.attribute_ids, size.attributes)):
        assert ids.shape == (count,) and ids.dtype == np.int64
        assert ids.min() >= 0 and ids.max() < limit
    for confidences in (objects.class_confidences, objects.attribute_confidences):
        assert confidences.shape == (count,) and confidences.dtype == np.float32
        assert (confidences > 0).all() and (confidences <= 1).all()
    assert (np.diff(objects.class_confidences) <= 0).all()


def same(one: Regions, other: Regions) -> bool:
    return all(
        np.array_equal(getattr(one.objects, name), getattr(other.objects, name))
        for name in ("class_ids", "class_confidences", "attribute_ids", "attribute_confidences")
    ) and (np.array_equal(one.features, other.features) and np.array_equal(one.boxes, other.boxes))


@pytest.mark.parametrize(("seed", "size"), [(1, (90, 60)), (2, (50, 211)), (3, (64, 64))])
def test_detections_equal_the_reference(
    seed: int, size: tuple[int, int], detector: BottomUpDetector
) -> None:
    """Boxes, order, ids and features, from the pixels of a picture."""
    picture = photograph(seed, *size)
    (found,) = detector.detect([picture])
    check(found, detector, least=20)
    assert found.objects is not None
    pixels = reference.prepare(np.asarray(picture), TINY.short_side, TINY.long_side)
    state = {key: value.double().numpy() for key, value in detector.network.state_dict().items()}
    proposals = reference.Network(state).propose(
        pixels, TINY.anchor_sizes, TINY.anchor_ratios, TINY.max_proposals
    )
    expected = reference.select(proposals, pixels.shape[1], pixels.shape[2])
    assert (
        found.objects.class_ids.tolist() == expected["class_ids"]
        and len(set(expected["class_ids"])) > 1
    )
    assert found.objects.attribute_ids.tolist() == expected["attribute_ids"]
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=1e-4)
    np.testing.assert_allclose(found.features, expected["features"], rtol=1e-3, atol=1e-3)
    for name in ("class_confidences", "attribute_confidences"):
        np.testing.assert_allclose(getattr(found.objects, name), expected[name], rtol=1e-3)


def test_a_batch_gives_what_each_picture_gives_alone(detector: BottomUpDetector) -> None:
    sizes = [(90, 60), (40, 130), (90, 60)]
    pictures = [photograph(seed, *size) for seed, size in enumerate(sizes)]
    together = detector.detect(pictures)
    alone = [detector.detect([picture])[0] for picture in pictures]
    backwards = detector.detect(pictures[::-1])[::-1]
    for one, two, three in zip(together, alone, backwards, strict=True):
        assert same(one, two) and same(one, three)
    assert not same(together[0], together[2])
    assert detector.detect([]) == []
    regions = detector.detect(pictures[:1])[0]
    assert np.array_equal(regions.features, together[0].features)


def test_pixels_are_blue_green_red_minus_the_mean() -> None:
    red = prepare(Image.new("RGB", (30, 20), (255, 0, 10)), TINY)
    assert red.shape == (3, 96, 144) and red.dtype == torch.float32
    expected = [10 - 102.9801, 0 - 115.9465, 255 - 122.7717]
    np.testing.assert_allclose(red.mean(dim=(1, 2)), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(13, 31), (300, 200), (1, 1), (161, 96), (1, 900)])
def test_resizing_is_bilinear_without_smoothing(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    found = prepare(Image.fromarray(pixels), TINY)
    expected = reference.prepare(pixels, TINY.short_side, TINY.long_side)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 1), (1, 300), (10000, 10), (3, 3), (4000, 3000)], ids=str
)
@pytest.mark.parametrize("plain", [True, False], ids=["one colour", "photograph"])
def test_tiny_huge_and_plain_pictures(
    size: tuple[int, int], plain: bool, detector: BottomUpDetector
) -> None:
    picture = Image.new("RGB", size, "white") if plain else photograph(0, *size)
    (found,) = detector.detect([picture])
    check(found, detector)


def test_modes_of_pictures(tmp_path: Path, detector: BottomUpDetector) -> None:
    """Whatever the file's mode, the upright RGB picture is used."""
    rgb = photograph(4, 80, 50)
    grey, palette = rgb.convert("L"), rgb.quantize(256)
    alpha = rgb.copy()
    alpha.putalpha(255)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise, so stored a quarter turn anticlockwise
    files = {
        "rgb.png": (rgb, rgb),
        "grey.png": (grey, grey.convert("RGB")),
        "palette.png": (palette, palette.convert("RGB")),
        "alpha.png": (alpha, rgb),
        "bits.png": (rgb.convert("1"), rgb.convert("1").convert("RGB")),
        "rotated.png": (rgb.transpose(Image.Transpose.ROTATE_90), rgb),
    }
    for name, (stored, meant) in files.items():
        stored.save(tmp_path / name, exif=exif if name == "rotated.png" else b"")
        (found,) = detector.detect([open_picture(tmp_path / name)])
        (expected,) = detector.detect([meant])
        assert same(found, expected), name
    # A detector of its own accord takes any mode too.
    assert same(*detector.detect([grey, grey.convert("RGB")]))


def some_proposals(boxes: torch.Tensor, class_logits: torch.Tensor) -> Proposals:
    count, classes = len(boxes), class_logits.shape[1] - 1
    return Proposals(
        boxes=boxes,
        features=torch.arange(count, dtype=torch.float32)[:, None],
        class_logits=class_logits,
        attribute_logits=torch.tensor([[0.0, 2.0, 9.0]]).repeat(count, 1),
        deltas=torch.zeros(count, classes, 4),
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    # 60 boxes of 100 pixels, each `step` to the right: neighbours overlap by (100 - step) /
    # (100 + step). At 29 that is 0.55, at 22 0.64, at 15 0.74; the next but one is always kept.
    [(40, 36), (29, 36), (22, 36), (15, 30)],
)
def test_the_threshold_rises_until_36_regions_remain(step: int, expected: int) -> None:
    left = torch.arange(60.0) * step
    boxes = torch.stack([left, torch.zeros(60), left + 100, torch.full((60,), 100.0)], dim=1)
    logits = torch.zeros(60, 3)
    logits[:, 1] = torch.arange(60, 0, -1) / 10
    found = select(some_proposals(boxes, logits), 100, 4000)
    assert found.objects is not None
    assert len(found.objects.class_ids) == expected
    rows = found.features[:, 0].astype(int).tolist()
    assert rows == list(range(0, 60, 2))[:36] if step == 15 else rows == list(range(36))


def test_background_is_no_class_and_none_no_attribute() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [50, 50, 90, 100.0]])
    logits = torch.tensor([[1.0, 3.0, 9.0], [4.0, 1.0, 0.0]])  # the last one is background
    found = select(some_proposals(boxes, logits), 200, 100)
    assert found.objects is not None
    assert found.objects.class_ids.tolist() == [0, 1]  # the second proposal is the more certain
    chances = logits.softmax(dim=1).numpy()
    assert found.objects.class_confidences == pytest.approx([chances[1, 0], chances[0, 1]])
    assert found.objects.attribute_ids.tolist() == [1, 1]
    assert found.objects.attribute_confidences == pytest.approx([1 / (1 + np.exp(-2))] * 2)
    expected = [[0.5, 0.25, 0.9, 0.5], [0, 0, 0.1, 0.05]]
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-6)


def test_boxes_are_regressed_for_the_class_and_clipped() -> None:
    proposals = some_proposals(torch.tensor([[40.0, 40, 60, 60]]), torch.tensor([[0.0, 5, 0]]))
    proposals.deltas[0, 1] = torch.tensor([10.0, 0, 5 * np.log(4), 0])  # right by 20, 4 x as wide
    found = select(proposals, 100, 100)
    assert found.boxes.tolist() == [pytest.approx([0.3, 0.4, 1, 0.6], abs=1e-6)]


def test_it_is_a_learned_detector(weights: Path, detector: BottomUpDetector) -> None:
    as_detector: Detector = detector
    assert isinstance(as_detector, LearnedDetector)
    assert not isinstance(get_detector("pixel"), LearnedDetector)
    assert (detector.name, detector.feature_size, detector.max_regions) == ("butd", 256, 36)
    assert Architecture().feature_size == 2048


def test_weights_that_give_infinity_are_reported(tmp_path: Path) -> None:
    network = random_network(0, TINY)
    network.state_dict()["roi_heads.res5.2.conv3.norm.weight"].fill_(3e38)
    broken = BottomUpDetector(write_weights(tmp_path, network), architecture=TINY)
    with pytest.raises(ModelError, match="NaN or infinity for a picture; its weights are damaged"):
        broken.detect([photograph(0, 50, 50)])


@pytest.mark.skipif(not COCO.is_dir(), reason="public pictures are not here")
def test_a_photograph_at_full_resolution(tmp_path: Path) -> None:
    """All blocks and all pixels, in a network of an eighth of the width."""
    architecture = Architecture(width=8, max_proposals=100)
    weights = write_weights(tmp_path, random_network(0, architecture))
    detector = BottomUpDetector(weights, architecture=architecture)
    path = min(COCO.glob("*.jpg"))
    (found,) = detector.detect([open_picture(path)])
    check(found, detector, least=36)


@pytest.mark.skipif(not COCO.is_dir(), reason="public pictures are not here")
def test_lxmert_s_own_regions_have_the_form_of_ours() -> None:
    """The original detector's regions of ten photographs: sizes, order, overlap, signs, ids."""
    csv.field_size_limit(1 << 30)
    with open(COCO / "train2014_obj36.tsv", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert len(rows) == 10
    for row in rows:
        height, width, count = int(row[1]), int(row[2]), int(row[7])

        def decoded(column: int, dtype: str, row: list[str] = row) -> np.ndarray:
            return np.frombuffer(base64.b64decode(row[column]), dtype)

        boxes, features = decoded(8, "f4").reshape(-1, 4), decoded(9, "f4").reshape(-1, 2048)
        assert count == len(boxes) == len(features) == 36
        assert (features >= 0).all()
        assert (boxes >= 0).all() and (boxes <= [width, height, width, height]).all()
        assert decoded(3, "i8").max() < 1600 and decoded(5, "i8").max() < 400
        worst = max(reference.overlap(boxes[i], boxes[j]) for i in range(36) for j in range(i))
        assert worst <= 0.7
        with Image.open(COCO / f"{row[0]}.jpg") as picture:
            assert picture.size == (width, height)
