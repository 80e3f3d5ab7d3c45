"""`lxcompress export --detector`: write the detector as an ONNX file, and check it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import helper
from PIL import Image

import lxcompress
from exporters.detector.graph import build_model
from exporters.graph.onnx_file import write_model
from lxcompress.errors import ModelError
from lxcompress.system.files import atomic_path
from lxcompress.system.output_folder import check_writable
from lxcompress.vision.butd.detector import BottomUpDetector, prepare
from lxcompress.vision.butd.onnx_detector import METADATA, OnnxBottomUpDetector
from lxcompress.vision.butd.weights import PIXEL_MEAN
from lxcompress.vision.comparison import compare_regions

FILE_NAME = "detector.onnx"
TOLERANCE = 1e-3
"""Largest difference of a feature, relative to the largest feature, and of a box, in its sides."""

_SIZES = ((300, 400), (500, 260))  # height and width of the pictures for the check
# Of regions that both find; rounding may decide between two of the same confidence.
_LEAST_SAME = 0.9


@dataclass(frozen=True)
class DetectorCheck:
    """How far the file is from PyTorch on generated pictures.

    regions, same_regions: selected in PyTorch, and those of them that the file has too, with the
        same class and attribute.
    largest_box_difference: in 0-1; largest_feature_difference: relative to the largest feature;
        both of the same regions.
    """

    path: Path
    bytes: int
    regions: int
    same_regions: int
    largest_box_difference: float
    largest_feature_difference: float


def export_detector(detector: BottomUpDetector, output: Path) -> DetectorCheck:
    """Write `detector.onnx` to a folder, after it was compared with PyTorch.

    detector: on the CPU, in fp32; its proposals and screening become the file's.

    Raises:
        ConfigError: the folder cannot be written to.
        ModelError: the file differs from PyTorch.
    """
    assert detector.setting.precision == "fp32", "weights in bf16 are not those of the file"
    check_writable("--output", output)
    model = build_model(detector.network, detector.setting)
    architecture = detector.network.architecture
    content = {
        "feature_size": detector.feature_size,
        "short_side": architecture.short_side,
        "long_side": architecture.long_side,
        "weights": detector.weights,
        "input": f"resized bilinearly, BGR, 0-255 minus {PIXEL_MEAN}",
    }
    helper.set_model_props(
        model, {"lxcompress": lxcompress.__version__, METADATA: json.dumps(content)}
    )
    path = output / FILE_NAME
    with atomic_path(path) as temporary:
        write_model(model, temporary)
        del model
        return _check(detector, temporary, path)


def _check(detector: BottomUpDetector, written: Path, path: Path) -> DetectorCheck:
    file = OnnxBottomUpDetector(written)
    regions = same = 0
    boxes = features = 0.0
    for number, size in enumerate(_SIZES):
        pixels = prepare(generated_picture(number, *size), detector.network.architecture)
        expected = detector.find(pixels)
        compared = compare_regions(expected, file.run(pixels.numpy()))
        regions += compared.regions
        same += compared.same
        boxes = max(boxes, compared.largest_box_difference)
        features = max(features, compared.largest_feature_difference)
    check = DetectorCheck(path, written.stat().st_size, regions, same, boxes, features)
    if same < _LEAST_SAME * regions or max(boxes, features) > TOLERANCE:
        raise ModelError(
            f"the exported detector differs from PyTorch: {same} of {regions} regions are the "
            f"same, boxes differ by {boxes:.2g}, features by {features:.2g}; nothing was written"
        )
    return check


def generated_picture(seed: int, height: int, width: int) -> Image.Image:
    """Smooth colours with some detail, as photographs have."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
