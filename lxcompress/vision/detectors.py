"""The available detectors, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lxcompress.errors import ConfigError
from lxcompress.vision.regions import Detector

if TYPE_CHECKING:
    from lxcompress.vision.butd.setting import DetectorSetting

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


def is_exported(weights: str | Path | None) -> bool:
    """Whether weights are an ONNX file of `lxcompress export --detector`."""
    return weights is not None and Path(weights).suffix == ".onnx"


def get_detector(
    name: str,
    weights: str | Path | None = None,
    device: str = "auto",
    setting: DetectorSetting | None = None,
) -> Detector:
    """Load the detector with the name `name` in `dataset.yaml`.

    Args:
        weights: of "butd", a folder or Hugging Face id, by default the published ones; or an ONNX
            file of `lxcompress export --detector`, which runs on the CPU.
        device: "auto" (CUDA if available), "cpu" or "cuda"; "pixel" runs on the CPU only.
        setting: how "butd" computes; None for the exact setting. An ONNX file has its own.

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
        if setting is not None and not setting.is_default:
            raise ConfigError(
                "--detector-precision, --proposals and --screening are of the detector butd; "
                "pixel has none"
            )
        return PixelDetector()
    if name == "butd" and weights is not None and is_exported(weights):
        from lxcompress.vision.butd.onnx_detector import OnnxBottomUpDetector

        if setting is not None and not setting.is_default:
            raise ConfigError(
                f"{weights} fixes how the detector computes: leave out --detector-precision, "
                "--proposals and --screening, or give the folder of weights"
            )
        if device == "cuda":
            raise ConfigError(f"--device cuda: the detector {weights} runs on the CPU only")
        return OnnxBottomUpDetector(weights)
    if name == "butd":
        from lxcompress.system.machine.device import resolve_device
        from lxcompress.vision.butd.detector import HUB_ID, BottomUpDetector
        from lxcompress.vision.butd.setting import EXACT

        definite = resolve_device(device)
        # Apple's MPS supports adaptive pooling only into cells of equal size, unlike a region's.
        usable = "cpu" if definite == "mps" else definite
        return BottomUpDetector(weights or HUB_ID, usable, setting=setting or EXACT)
    raise ConfigError(f"unknown detector {name!r}; choose one of: {', '.join(DETECTORS)}")
