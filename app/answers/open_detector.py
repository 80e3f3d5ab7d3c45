"""Load the detector that gives a model its regions, for the demo and for `ask`."""

from __future__ import annotations

from pathlib import Path

from lxcompress.errors import ModelError
from lxcompress.vision.butd.setting import DetectorSetting
from lxcompress.vision.detectors import FEATURE_SIZES, get_detector, is_exported
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Detector


def open_detector(
    name: str,
    weights: str | None,
    device: str,
    feature_size: int,
    setting: DetectorSetting | None = None,
) -> Detector:
    """Load a detector for a model that takes `feature_size` features of a region.

    weights: a folder, hub id or exported file; None for the detector's default weights.
    device: for a detector that runs on another than the CPU.
    setting: how "butd" computes; None for the exact setting.

    Raises:
        ConfigError: the detector is unknown, or does not have an option.
        ModelError: its weights are not available, or its features do not fit the model.
        DeviceError: the device cannot be used here.
    """
    if weights is None or not Path(weights).exists():  # known before they are downloaded
        _check_features(name, FEATURE_SIZES.get(name, feature_size), feature_size)
    runs_on_cpu = name == PixelDetector.name or is_exported(weights)
    detector = get_detector(name, weights, "auto" if runs_on_cpu else device, setting)
    _check_features(name, detector.feature_size, feature_size)
    return detector


def _check_features(detector: str, given: int, taken: int) -> None:
    if given != taken:
        raise ModelError(
            f"the model takes regions of {taken} features, the detector {detector} gives {given}; "
            "choose another --detector"
        )
