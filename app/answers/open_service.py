"""Load the demo's models and its detector."""

from __future__ import annotations

from dataclasses import dataclass

from app.answers.known_inputs import KnownInputs
from app.answers.models import Models
from app.answers.region_cache import RegionCache
from app.answers.served_files import ServedFiles
from app.answers.service import Service
from lxcompress.errors import ModelError
from lxcompress.vision.butd.setting import DetectorSetting
from lxcompress.vision.detectors import FEATURE_SIZES, detector_of, get_detector
from lxcompress.vision.pixel import PixelDetector
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


def open_detector(files: ServedFiles, options: ServiceOptions) -> Detector:
    """Load the detector whose regions a model takes.

    Raises:
        ConfigError: the detector is unknown, or has no weights to choose.
        ModelError: its weights are not available, or its features do not fit the model.
        DeviceError: the device cannot be used here.
    """
    name = options.detector or files.detector or detector_of(files.feature_size)
    size = FEATURE_SIZES.get(name, files.feature_size)
    if size != files.feature_size:  # known before weights are downloaded
        raise ModelError(
            f"the model takes regions of {files.feature_size} features, the detector {name} gives "
            f"{size}; choose another --detector"
        )
    # PixelDetector takes no device.
    device = "auto" if name == PixelDetector.name else options.device
    return get_detector(name, options.detector_weights, device, options.detector_setting)


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
