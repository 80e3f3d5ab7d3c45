"""`lxcompress export --detector`: the detector as an ONNX file."""

from __future__ import annotations

from pathlib import Path

from lxcompress.system.shell import lxcompress_command


def export_detector_file(
    name: str, weights: str | None, proposals: int, screening: bool, output: Path | None
) -> None:
    """Write the detector as the options say, and print how the file compares with PyTorch."""
    from lxcompress.errors import ConfigError
    from lxcompress.vision.butd.setting import DetectorSetting

    if name != "butd":
        raise ConfigError(f"--detector {name}: only butd can be exported")
    if output is None:
        raise ConfigError("--detector needs --output, the folder for the file")
    setting = DetectorSetting("fp32", proposals, screening)
    from exporters.detector.export import export_detector
    from lxcompress.vision.butd.detector import HUB_ID, BottomUpDetector

    check = export_detector(BottomUpDetector(weights or HUB_ID, setting=setting), output)
    print(f"{check.path}: {check.bytes:,} bytes")
    print(
        f"as in PyTorch: {check.same_regions} of {check.regions} regions of generated pictures; "
        f"boxes differ by at most {check.largest_box_difference:.2g} of the picture's side, "
        f"features by {check.largest_feature_difference:.2g} of the largest"
    )
    detect = ("data", "detect", "PICTURES", "--detector", "butd", "--weights", check.path)
    print(f"next: {lxcompress_command(*detect, '--output', 'REGIONS')}")
