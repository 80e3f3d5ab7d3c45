"""The bottom-up-attention detector from an ONNX file that `lxcompress export` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from lxcompress.errors import ModelError
from lxcompress.system.files import check_regular
from lxcompress.system.machine.onnx_session import session_options
from lxcompress.system.text import first_line
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.detector import check_finite, prepare
from lxcompress.vision.butd.setting import MAX_REGIONS
from lxcompress.vision.regions import RegionObjects, Regions

INPUT = "picture"
OUTPUTS: dict[str, tuple[type[np.generic], list[str | int]]] = {
    "boxes": (np.float32, ["regions", 4]),
    "features": (np.float32, ["regions", "features"]),
    "class_ids": (np.int64, ["regions"]),
    "class_confidences": (np.float32, ["regions"]),
    "attribute_ids": (np.int64, ["regions"]),
    "attribute_confidences": (np.float32, ["regions"]),
}
"""Type and shape by name: the fields of `Regions` and then of `RegionObjects`."""
METADATA = "detector"
"""Key of the file's metadata: JSON of feature_size, short_side, long_side and weights."""

_ONNX_TYPES: dict[type[np.generic], str] = {np.float32: "tensor(float)", np.int64: "tensor(int64)"}


class OnnxBottomUpDetector:
    """The detector in ONNX Runtime, on the CPU; how it computes is fixed in the file."""

    name = "butd"
    max_regions = MAX_REGIONS

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        """Load the file.

        threads: of the CPU; None for all cores.

        Raises:
            ModelError: it is missing, damaged, or not a detector.
        """
        self._path = Path(path)
        check_regular(self._path, ModelError)
        if not self._path.is_file():
            raise ModelError(f"no such detector file: {path}")
        options = session_options(threads or 0)
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # ONNX Runtime's exceptions have no base class of their own
            raise ModelError(
                f"ONNX Runtime cannot load the detector {path}: {first_line(problem)}"
            ) from problem
        content = self._read_metadata()
        self.feature_size: int = content["feature_size"]
        self.weights: str = content["weights"]
        self._architecture = Architecture(
            short_side=content["short_side"], long_side=content["long_side"]
        )

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order.

        Raises ModelError when the weights give values that are not finite.
        """
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image.Image) -> Regions:
        found = self.run(prepare(picture, self._architecture).numpy())
        check_finite(found, self._path)
        return found

    def run(self, pixels: np.ndarray) -> Regions:
        """The regions of a prepared picture `[3, height, width]` float32.

        Raises:
            ModelError: ONNX Runtime cannot compute them.
        """
        try:
            boxes, features, *objects = self._session.run(list(OUTPUTS), {INPUT: pixels})
        except Exception as problem:
            raise ModelError(
                f"ONNX Runtime cannot run the detector {self._path}: {first_line(problem)}"
            ) from problem
        return Regions(features, boxes, RegionObjects(*objects))

    def _read_metadata(self) -> dict[str, Any]:
        wrong = ModelError(
            f"{self._path} is not a detector of `lxcompress export --detector butd`; give the "
            "detector.onnx that it wrote, or a folder with the detector's weights"
        )
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA)
        if text is None or not self._has_interface():
            raise wrong
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            raise wrong from None
        if not isinstance(content, dict) or not isinstance(content.get("weights"), str):
            raise wrong
        sizes = [content.get(name) for name in ("feature_size", "short_side", "long_side")]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise wrong
        return content

    def _has_interface(self) -> bool:
        """Whether inputs and outputs have the names, types and dimensions of an exported file."""
        inputs = [
            (value.name, value.type, value.shape[:1], [type(size) for size in value.shape[1:]])
            for value in self._session.get_inputs()
        ]
        outputs = {
            value.name: (value.type, len(value.shape)) for value in self._session.get_outputs()
        }
        expected = {
            name: (_ONNX_TYPES[kind], len(shape)) for name, (kind, shape) in OUTPUTS.items()
        }
        return inputs == [(INPUT, "tensor(float)", [3], [str, str])] and outputs == expected
