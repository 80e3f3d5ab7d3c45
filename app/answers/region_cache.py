"""Each picture is looked at once: its regions, kept by the content of its file."""

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

_PICTURES = 32
_PREVIEW_SIDE = 768  # px; at most 1.8 MB a picture


@dataclass(frozen=True, eq=False)
class Look:
    """What a detector saw in a picture.

    preview: RGB, upright, at most 768 pixels a side, to draw on; milliseconds: opening and
    detection together, when it was done.
    """

    regions: Regions
    preview: Image.Image
    milliseconds: float


class RegionCache:
    """The regions of the pictures that were asked about last, `size` of them; threads share it."""

    def __init__(self, detector: Detector, size: int = _PICTURES) -> None:
        self.detector, self.size = detector, size
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._lock = threading.Lock()
        # One picture at a time: a large one takes hundreds of MB while it is opened.
        self._detecting = threading.Lock()

    def look(self, path: Path) -> Look:
        """The regions of a picture file. Raises DataError when it is no picture, or not there."""
        try:
            key = sha256(path)
        except OSError as problem:
            raise DataError(f"picture cannot be read ({problem.strerror}): {path}") from None
        found = self._known(key)
        if found is not None:
            return found
        with self._detecting:
            found = self._known(key)  # another thread may just have made it
            if found is None:
                found = self._detect(path)
                with self._lock:
                    self._looks[key] = found
                    while len(self._looks) > self.size:
                        self._looks.popitem(last=False)
        return found

    def __len__(self) -> int:
        return len(self._looks)

    def _known(self, key: str) -> Look | None:
        with self._lock:
            found = self._looks.get(key)
            if found is not None:
                self._looks.move_to_end(key)
            return found

    def _detect(self, path: Path) -> Look:
        began = time.perf_counter()
        picture = open_picture(path)
        (regions,) = self.detector.detect([picture])
        taken = 1000 * (time.perf_counter() - began)
        picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
        return Look(regions, picture, taken)
