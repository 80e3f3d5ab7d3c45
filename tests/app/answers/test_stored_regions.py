"""Regions on the disk: features, boxes and names come back as they were detected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from butd_tiny import TINY, random_network, write_weights
from PIL import Image
from safetensors.numpy import load_file, save_file

from app.answers.stored_regions import StoredRegions
from exporters.detector.export import export_detector
from lxcompress.errors import ModelError
from lxcompress.vision.butd import detector as butd
from lxcompress.vision.butd.detector import BottomUpDetector
from lxcompress.vision.butd.setting import EXACT, DetectorSetting
from lxcompress.vision.region_names import region_names


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(butd, "PUBLISHED", TINY)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights", random_network(0, TINY))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_stored_regions_equal_the_detected_ones(weights: Path, picture: Path) -> None:
    first, second = (
        StoredRegions("butd", str(weights), "cpu", TINY.feature_size).detect(picture)
        for _ in range(2)
    )
    assert (first.was_stored, second.was_stored) == (False, True)
    np.testing.assert_array_equal(first.regions.features, second.regions.features)
    np.testing.assert_array_equal(first.regions.boxes, second.regions.boxes)
    names = region_names(first.regions)
    assert names == region_names(second.regions) and any(names)


def test_regions_stored_without_objects_are_read(
    weights: Path, picture: Path, tmp_path: Path
) -> None:
    regions = StoredRegions("butd", str(weights), "cpu", TINY.feature_size)
    regions.detect(picture)
    (file,) = (tmp_path / "cache" / "regions").rglob("*.safetensors")
    tensors = load_file(file)
    save_file({name: tensors[name] for name in ("features", "boxes")}, file)
    found = regions.detect(picture)
    assert found.was_stored and set(region_names(found.regions)) == {None}
    del tensors["class_ids"]
    save_file(tensors, file)  # incomplete: detected again
    assert not regions.detect(picture).was_stored


def test_settings_and_files_are_kept_apart(weights: Path, picture: Path, tmp_path: Path) -> None:
    def stored(given: Path, setting: DetectorSetting) -> bool:
        regions = StoredRegions("butd", str(given), "cpu", TINY.feature_size, setting)
        return regions.detect(picture).was_stored

    screened = DetectorSetting("fp32")
    for setting in (EXACT, screened, DetectorSetting("fp32", 40)):
        assert [stored(weights, setting) for _ in range(2)] == [False, True]
    detector = BottomUpDetector(weights, architecture=TINY, setting=screened)
    file = export_detector(detector, tmp_path).path
    assert stored(file, DetectorSetting()), "the file has the weights and the setting of this one"


def test_a_detector_for_another_feature_size(weights: Path, picture: Path) -> None:
    with pytest.raises(ModelError, match="takes regions of 2048 features, the detector butd"):
        StoredRegions("butd", str(weights), "cpu", 2048).detect(picture)
