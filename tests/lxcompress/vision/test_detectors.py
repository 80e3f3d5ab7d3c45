"""Choosing a detector by its name in `dataset.yaml`."""

import pytest

from lxcompress.errors import ConfigError
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.detectors import FEATURE_SIZES, detector_of, get_detector
from lxcompress.vision.pixel import PixelDetector


def test_unknown_detector() -> None:
    with pytest.raises(ConfigError, match="choose one of: pixel"):
        get_detector("nothing")


def test_detectors_are_told_by_their_features() -> None:
    assert FEATURE_SIZES["pixel"] == PixelDetector().feature_size
    assert FEATURE_SIZES["butd"] == Architecture().feature_size
    assert [detector_of(size) for size in FEATURE_SIZES.values()] == list(FEATURE_SIZES)
    with pytest.raises(ConfigError, match="regions of 5 features, which no detector gives"):
        detector_of(5)
