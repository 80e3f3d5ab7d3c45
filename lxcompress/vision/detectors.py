"""The available detectors, by name."""

from __future__ import annotations

from pathlib import Path

from lxcompress.errors import ConfigError
from lxcompress.vision.regions import Detector

FEATURE_SIZES = {"pixel": 107, "butd": 2048}
"""Features of a region, by detector."""
DETECTORS = tuple(FEATURE_SIZES)
_DEVICES = ("auto", "cpu", "cuda")


def detector_of(feature_size: int) -> str:
    """Return the name of the detector whose regions have this many features.

    Raises:
        ConfigError: there is none.
    """
    for name, size in FEATURE_SIZES.items():
        if size == feature_size:
            return name
    raise ConfigError(
        f"the model takes regions of {feature_size} features, which no detector gives; "
        "give --detector"
    )


def get_detector(name: str, weights: str | Path | None = None, device: str = "auto") -> Detector:
    """Load the detector with the name `name` in `dataset.yaml`.

    Args:
        weights: of "butd", a folder or Hugging Face id; by default the published ones.
        device: "auto" (CUDA if available), "cpu" or "cuda"; "pixel" runs on the CPU only.

    Raises:
        ConfigError: an unknown name or device, or an option that the detector does not have.
        DeviceError: CUDA was requested but is not available.
        ModelError: the weights are not available or do not fit.
    """
    if device not in _DEVICES:
        raise ConfigError(f"--device {device}: choose {', '.join(_DEVICES)}")
    if name == "pixel":
        from lxcompress.vision.pixel import PixelDetector

        if weights is not None:
            raise ConfigError(f"weights {weights}: the detector pixel has none; butd has")
        if device == "cuda":
            raise ConfigError("--device cuda: the detector pixel runs on the CPU only")
        return PixelDetector()
    if name == "butd":
        from lxcompress.system.machine.device import resolve_device
        from lxcompress.vision.butd.detector import HUB_ID, BottomUpDetector

        definite = resolve_device(device)
        # Apple's MPS supports adaptive pooling only into cells of equal size, unlike a region's.
        return BottomUpDetector(weights or HUB_ID, "cpu" if definite == "mps" else definite)
    raise ConfigError(f"unknown detector {name!r}; choose one of: {', '.join(DETECTORS)}")
