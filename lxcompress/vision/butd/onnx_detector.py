"""The bottom-up-attention detector from an ONNX file that `lxcompress export` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from lxcompress.errors import ModelError
from lxcompress.system.files import check_regular
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.detector import check_finite, prepare
from lxcompress.vision.butd.setting import MAX_REGIONS
from lxcompress.vision.regions import RegionObjects, Regions

INPUT = "picture"
OUTPUTS = ("boxes", "features", *(field.name for field in fields(RegionObjects)))
METADATA = "detector"
"""Key of the file's metadata: JSON of feature_size, short_side, long_side and weights."""


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
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings are about its own optimisations
        options.intra_op_num_threads = threads or 0
        # A thread that spins while it waits takes a core from other processes, and gains nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # ONNX Runtime's exceptions have no base class of their own
            first = str(problem).strip().partition("\n")[0]
            raise ModelError(f"ONNX Runtime cannot load the detector {path}: {first}") from problem
        content = self._read_metadata()
        self.feature_size, self.weights = int(content["feature_size"]), str(content["weights"])
        self._architecture = Architecture(
            short_side=int(content["short_side"]), long_side=int(content["long_side"])
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
        """The regions of a prepared picture `[3, height, width]` float32."""
        boxes, features, *objects = self._session.run(list(OUTPUTS), {INPUT: pixels})
        return Regions(features, boxes, RegionObjects(*objects))

    def _read_metadata(self) -> dict[str, Any]:
        wrong = ModelError(
            f"{self._path} is not a detector of `lxcompress export --detector butd`; give the "
            "detector.onnx that it wrote, or a folder with the detector's weights"
        )
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA)
        if text is None or {value.name for value in self._session.get_outputs()} != set(OUTPUTS):
            raise wrong
        try:
            content = json.loads(text)
            complete = {"feature_size", "short_side", "long_side", "weights"} <= content.keys()
        except (ValueError, AttributeError):
            raise wrong from None
        if not complete:
            raise wrong
        return dict(content)
