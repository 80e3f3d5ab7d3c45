"""Regions of pictures on the disk, by the picture's content, kept for the next command.

A detector takes seconds for a photograph, LXMERT a few hundredths. Files lie in the cache, in
`regions/DETECTOR/SHA256.safetensors`: `features` and `boxes`, float32, and the fields of
`RegionObjects` from a detector that gives them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import lxcompress
from app.answers.open_detector import open_detector
from lxcompress.data.regions.detection import weights_of
from lxcompress.system.cache import writable_cache
from lxcompress.system.files import atomic_path, sha256
from lxcompress.vision.detectors import is_exported
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, RegionObjects, Regions

if TYPE_CHECKING:
    from lxcompress.vision.butd.setting import DetectorSetting

_MAX_FILES = 2_000  # of a detector; 600 MB with 36 x 2048 features
_OBJECT_FIELDS = tuple(field.name for field in fields(RegionObjects))


@dataclass(frozen=True)
class FoundRegions:
    """The regions of a picture, and the time that they took: 0 where they were stored."""

    regions: Regions
    milliseconds: float
    was_stored: bool


class StoredRegions:
    """A detector that is loaded when a picture is not stored yet."""

    def __init__(
        self,
        name: str,
        weights: str | None,
        device: str,
        feature_size: int,
        setting: DetectorSetting | None = None,
    ) -> None:
        """Name the detector and identify its weights and its setting.

        device: "auto", "cpu" or "cuda".

        Raises:
            ConfigError: there is no such detector, or the cache cannot be written to.
            ModelError: its weights are not available, or the model takes other features.
        """
        self._feature_size = feature_size
        self._load: Callable[[], Detector] = lambda: open_detector(
            name, weights, device, feature_size, setting
        )
        self._detector: Detector | None = None
        if name == "butd" and not is_exported(weights):
            from lxcompress.system.machine.device import resolve_device
            from lxcompress.vision.butd.setting import EXACT
            from lxcompress.vision.butd.weights import HUB_ID, weights_identity

            definite = (setting or EXACT).definite(
                "cuda" if resolve_device(device) == "cuda" else "cpu"
            )
            source = weights_identity(weights or HUB_ID, definite)
        else:
            detector = self._open()  # what is wrong with the options is raised here
            source = weights_of(detector) or lxcompress.__version__
        identity = re.sub("[^a-z0-9.]+", "-", f"{name} {source}")
        self._folder = writable_cache(f"regions/{identity}")

    def detect(self, picture: Path) -> FoundRegions:
        """Return the regions of a picture file.

        Raises:
            DataError: the picture cannot be read.
        """
        opened = open_picture(picture)  # what is wrong with it, also when its regions are stored
        file = self._folder / f"{sha256(picture)}.safetensors"
        regions = self._read(file)
        if regions is not None:
            return FoundRegions(regions, 0.0, was_stored=True)
        detector = self._open()
        start = time.perf_counter()
        (regions,) = detector.detect([opened])
        milliseconds = 1000 * (time.perf_counter() - start)
        self._write(file, regions)
        return FoundRegions(regions, milliseconds, was_stored=False)

    def _open(self) -> Detector:
        if self._detector is None:
            self._detector = self._load()
        return self._detector

    def _read(self, file: Path) -> Regions | None:
        try:
            found = load_file(file)
            objects = {name: found[name] for name in _OBJECT_FIELDS if name in found}
            regions = Regions(
                found["features"],
                found["boxes"],
                RegionObjects(**objects) if objects else None,
            )
        except (
            OSError,
            SafetensorError,
            KeyError,
            TypeError,
        ):  # absent, or damaged: detected again
            return None
        return regions if regions.features.shape[1:] == (self._feature_size,) else None

    def _write(self, file: Path, regions: Regions) -> None:
        tensors = {"features": regions.features, "boxes": regions.boxes}
        if regions.objects is not None:
            tensors |= {name: getattr(regions.objects, name) for name in _OBJECT_FIELDS}
        with atomic_path(file) as temporary:
            save_file(tensors, temporary)
        stored = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        for oldest in stored[:-_MAX_FILES]:
            oldest.unlink(missing_ok=True)
