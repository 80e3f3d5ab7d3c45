"""Load the demo's models and its detector."""

from __future__ import annotations

from dataclasses import dataclass

from app.answers.known_inputs import KnownInputs
from app.answers.models import Models
from app.answers.open_detector import open_detector
from app.answers.region_cache import RegionCache
from app.answers.served_files import ServedFiles
from app.answers.service import Service
from lxcompress.vision.butd.setting import DetectorSetting
from lxcompress.vision.detectors import detector_of
from lxcompress.vision.regions import Detector


@dataclass(frozen=True)
class ServiceOptions:
    """How to run the models and the detector.

    device: "cpu" or "cuda", for the models and for the detector "butd".
    threads: CPU threads of each model; None lets `Model` decide.
    detector: its name; None for the one of the model's data, or by the model's features.
    detector_weights: a folder, hub id or exported file; None for the detector's default weights.
    detector_setting: how the detector "butd" computes; None for the exact setting.
    """

    device: str = "cpu"
    threads: int | None = None
    detector: str | None = None
    detector_weights: str | None = None
    detector_setting: DetectorSetting | None = None


def open_detector_of(files: ServedFiles, options: ServiceOptions) -> Detector:
    """Load the detector whose regions a model takes; raises as `open_detector`."""
    return open_detector(
        options.detector or files.detector or detector_of(files.feature_size),
        options.detector_weights,
        options.device,
        files.feature_size,
        options.detector_setting,
    )


def open_service(files: ServedFiles, detector: Detector, options: ServiceOptions) -> Service:
    """Load the files.

    Raises:
        ModelError: a file is damaged.
        DeviceError: the device cannot be used here.
    """
    models = Models.open(files.main, files.dense, options.device, options.threads)
    known = KnownInputs.from_vocabulary(
        files.data, detector.name, models.main.labels, models.main.tokenizer
    )
    return Service(files.name, models, RegionCache(detector), known)
