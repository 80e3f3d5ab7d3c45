"""A cache of detected regions, keyed by the content of the picture file."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.answers.stages import Stage, drain
from lxcompress.errors import DataError
from lxcompress.system.files import sha256
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, LearnedDetector, Regions

_CACHE_SIZE = 32  # pictures
_PREVIEW_SIDE = 768  # px; at most 1.8 MB a picture
# Opening a large picture takes hundreds of MB.
_MAX_OPENED = 2
_MAX_WAITING = 24  # pictures; fewer than the page's concurrent requests, so that some remain free
_POLL = 0.2  # s; what is done sooner has no stages to show


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
    """The regions of the `size` most recently used pictures. Safe for use by several threads.

    A picture in the cache waits for no other. A learned detector uses all cores, so it takes one
    picture at a time, in the order of arrival; two at once would both be as late as the second.

    latest_seconds: duration of the latest detection; None before the first.
    """

    def __init__(self, detector: Detector, size: int = _CACHE_SIZE) -> None:
        self.detector, self.size = detector, size
        self.latest_seconds: float | None = None
        self.is_slow = isinstance(detector, LearnedDetector)
        self._entries: OrderedDict[str, DetectedRegions] = OrderedDict()
        self._pending: dict[str, Future[DetectedRegions]] = {}
        self._lock = threading.Lock()
        self._opening = threading.BoundedSemaphore(_MAX_OPENED)
        self._executor = ThreadPoolExecutor(1 if self.is_slow else _MAX_OPENED, "detector")

    def detect(self, path: Path) -> DetectedRegions:
        """Return the regions of a picture file, from the cache where it holds them.

        Raises:
            DataError: the file is missing or cannot be read as a picture, or too many wait.
        """
        return drain(self.detect_in_stages(path))

    def detect_in_stages(self, path: Path) -> Generator[Stage, None, DetectedRegions]:
        """Yield each stage that takes noticeable time, then return as `detect`."""
        try:
            key = sha256(path)
        except OSError as problem:
            raise DataError(f"picture cannot be read ({problem.strerror}): {path}") from None
        with self._lock:
            detected = self._entries.get(key)
            if detected is not None:
                self._entries.move_to_end(key)
                return detected
        stage = Stage.OPENING
        if self.is_slow:
            yield stage
        future = self._start(key, path)
        while True:
            try:
                return future.result(_POLL)
            except TimeoutError:
                now = Stage.DETECTING if future.running() else Stage.WAITING
                if now != stage:
                    stage = now
                    yield stage

    def close(self) -> None:
        """Detect no more pictures than the one in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._entries)

    def _start(self, key: str, path: Path) -> Future[DetectedRegions]:
        """Let the executor detect a picture, unless another request has it done already."""
        if self.is_slow and key not in self._pending:
            with self._opening:
                open_picture(path)  # what is wrong with it is not told after a long wait only
        with self._lock:
            if key in self._pending:
                return self._pending[key]
            if key in self._entries:
                done: Future[DetectedRegions] = Future()
                done.set_result(self._entries[key])
                return done
            if self.is_slow and len(self._pending) >= _MAX_WAITING:
                raise DataError(
                    f"{_MAX_WAITING} other pictures are waiting; try again in some minutes"
                )
            future = self._executor.submit(self._run_detector, key, path)
            self._pending[key] = future
            return future

    def _run_detector(self, key: str, path: Path) -> DetectedRegions:
        try:
            start = time.perf_counter()
            picture = open_picture(path)
            (regions,) = self.detector.detect([picture])
            seconds = time.perf_counter() - start
            picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
            detected = DetectedRegions(regions, picture, 1000 * seconds)
        except BaseException:
            with self._lock:
                del self._pending[key]
            raise
        with self._lock:
            del self._pending[key]
            self.latest_seconds = seconds
            self._entries[key] = detected
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        return detected
