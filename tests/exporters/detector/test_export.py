"""The detector as an ONNX file: the same regions as in PyTorch, and bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from butd_tiny import TINY, random_network, write_weights
from PIL import Image

from exporters.detector.export import FILE_NAME, TOLERANCE, export_detector
from lxcompress.errors import ModelError
from lxcompress.vision.butd.detector import BottomUpDetector, prepare
from lxcompress.vision.butd.onnx_detector import OnnxBottomUpDetector
from lxcompress.vision.butd.selection import CANDIDATES
from lxcompress.vision.butd.setting import EXACT, DetectorSetting
from lxcompress.vision.comparison import compare_regions


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"), random_network(0, TINY))


def photograph(seed: int, width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "setting", [EXACT, DetectorSetting("fp32"), DetectorSetting("fp32", 40)], ids=str
)
def test_the_file_finds_the_regions_of_pytorch(
    setting: DetectorSetting, weights: Path, tmp_path: Path
) -> None:
    """On pictures of other sizes and shapes than those that the export checks."""
    detector = BottomUpDetector(weights, architecture=TINY, setting=setting)
    check = export_detector(detector, tmp_path)
    assert check.path == tmp_path / FILE_NAME and check.same_regions == check.regions >= 40
    assert check.bytes == check.path.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    model = onnx.load(check.path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 21
    assert {node.op_type for node in model.graph.node} >= {"MaxRoiPool", "NonMaxSuppression"}

    file = OnnxBottomUpDetector(check.path)
    assert (file.weights, file.feature_size) == (detector.weights, TINY.feature_size)
    for seed, size in enumerate([(90, 60), (50, 211), (64, 64)]):
        picture = photograph(seed, *size)
        (expected,), (found,) = detector.detect([picture]), file.detect([picture])
        compared = compare_regions(expected, found)
        assert compared.same == compared.regions == len(found.boxes)
        assert compared.largest_box_difference < TOLERANCE
        assert compared.largest_feature_difference < TOLERANCE
        assert found.objects is not None and expected.objects is not None
        for name in ("class_confidences", "attribute_confidences"):
            one, two = getattr(found.objects, name), getattr(expected.objects, name)
            np.testing.assert_allclose(np.sort(one), np.sort(two), rtol=1e-3)


def test_tiny_pictures(weights: Path, tmp_path: Path) -> None:
    detector = BottomUpDetector(weights, architecture=TINY, setting=DetectorSetting("fp32"))
    file = OnnxBottomUpDetector(export_detector(detector, tmp_path).path)
    for size in ((1, 1), (3, 300), (2000, 10)):
        (found,) = file.detect([photograph(0, *size)])
        assert 1 <= len(found.boxes) <= 36 and np.isfinite(found.features).all()


def test_of_more_proposals_than_candidates_the_file_finds_the_regions_of_pytorch(
    weights: Path, tmp_path: Path
) -> None:
    architecture, setting = replace(TINY, max_proposals=200), DetectorSetting("fp32")
    detector = BottomUpDetector(weights, architecture=architecture, setting=setting)
    file = OnnxBottomUpDetector(export_detector(detector, tmp_path).path)
    for seed in range(3):
        picture = photograph(seed, 150, 100)
        proposals = detector.network(prepare(picture, architecture))
        assert len(proposals.boxes) > CANDIDATES
        (expected,), (found,) = detector.detect([picture]), file.detect([picture])
        compared = compare_regions(expected, found)
        assert compared.same == compared.regions == len(found.boxes) == 36
        assert compared.largest_box_difference < TOLERANCE
        assert compared.largest_feature_difference < TOLERANCE


def test_a_file_that_differs_is_not_written(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = BottomUpDetector(weights, architecture=TINY)
    (tmp_path / FILE_NAME).write_text("the file of an earlier export")
    find = BottomUpDetector.find

    def other(self: BottomUpDetector, pixels: object) -> object:
        found = find(self, pixels)  # type: ignore[arg-type]
        found.features[:] *= 1.01
        return found

    monkeypatch.setattr(BottomUpDetector, "find", other)
    with pytest.raises(ModelError, match="differs from PyTorch: .* nothing was written"):
        export_detector(detector, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).read_text() == "the file of an earlier export"


def test_without_any_box_inside_the_whole_picture_is_proposed(tmp_path: Path) -> None:
    network = random_network(0, TINY)
    state = network.state_dict()
    state["proposal_generator.rpn_head.anchor_deltas.bias"][0::4] = 1e6  # far to the right
    detector = BottomUpDetector(write_weights(tmp_path / "weights", network), architecture=TINY)
    file = OnnxBottomUpDetector(export_detector(detector, tmp_path).path)
    (found,) = file.detect([photograph(0, 50, 40)])
    assert len(found.boxes) == 1
