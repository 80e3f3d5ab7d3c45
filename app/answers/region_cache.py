"""A cache of detected regions, keyed by the content of the picture file."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lxcompress.errors import DataError
from lxcompress.system.files import sha256
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, Regions

_CACHE_SIZE = 32  # pictures
_PREVIEW_SIDE = 768  # px; at most 1.8 MB a picture


@dataclass(frozen=True, eq=False)
class DetectedRegions:
    """A detector's output for one picture.

    regions: features and boxes.
    preview: the picture to draw on: RGB, upright, at most 768 pixels a side.
    milliseconds: duration of opening the file and detecting its regions.
    """

    regions: Regions
    preview: Image.Image
    milliseconds: float


class RegionCache:
    """The regions of the `size` most recently used pictures. Safe for use by several threads."""

    def __init__(self, detector: Detector, size: int = _CACHE_SIZE) -> None:
        self.detector, self.size = detector, size
        self._entries: OrderedDict[str, DetectedRegions] = OrderedDict()
        self._lock = threading.Lock()
        # One picture at a time: opening a large one takes hundreds of MB.
        self._detecting = threading.Lock()

    def detect(self, path: Path) -> DetectedRegions:
        """Return the regions of a picture file, from the cache where it holds them.

        Raises:
            DataError: the file is missing or cannot be read as a picture.
        """
        try:
            key = sha256(path)
        except OSError as problem:
            raise DataError(f"picture cannot be read ({problem.strerror}): {path}") from None
        detected = self._find(key)
        if detected is not None:
            return detected
        with self._detecting:
            detected = self._find(key)  # another thread may have added it in the meantime
            if detected is None:
                detected = self._run_detector(path)
                with self._lock:
                    self._entries[key] = detected
                    while len(self._entries) > self.size:
                        self._entries.popitem(last=False)
        return detected

    def __len__(self) -> int:
        return len(self._entries)

    def _find(self, key: str) -> DetectedRegions | None:
        with self._lock:
            detected = self._entries.get(key)
            if detected is not None:
                self._entries.move_to_end(key)
            return detected

    def _run_detector(self, path: Path) -> DetectedRegions:
        start = time.perf_counter()
        picture = open_picture(path)
        (regions,) = self.detector.detect([picture])
        milliseconds = 1000 * (time.perf_counter() - start)
        picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
        return DetectedRegions(regions, picture, milliseconds)
