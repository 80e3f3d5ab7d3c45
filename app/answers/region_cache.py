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
# Requests; fewer than the page answers at the same time, so that those for cached pictures get in.
_MAX_WAITING = 24
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


@dataclass(eq=False)
class _Detection:
    """A detection that is queued or running; `waiters` requests wait for it."""

    future: Future[DetectedRegions]
    waiters: int = 0


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
        self._pending: dict[str, _Detection] = {}
        self._waiting = 0  # requests, for any picture
        self._lock = threading.Lock()
        self._opening = threading.BoundedSemaphore(_MAX_OPENED)
        self._executor = ThreadPoolExecutor(1 if self.is_slow else _MAX_OPENED, "detector")

    def detect(self, path: Path) -> DetectedRegions:
        """Return the regions of a picture file, from the cache where it holds them.

        Raises:
            DataError: the file is missing or cannot be read as a picture, or too many requests
                wait.
        """
        return drain(self.detect_in_stages(path))

    def detect_in_stages(self, path: Path) -> Generator[Stage, None, DetectedRegions]:
        """Yield the current stage, several times a second, then return as `detect`.

        A generator that is closed waits no longer; a detection that none waits for is cancelled.
        """
        key = _hash(path)
        detected = self._find(key)
        if detected is not None:
            return detected
        self._enter()
        try:
            if self.is_slow:
                yield Stage.OPENING
            if self.is_slow and key not in self._pending:
                with self._opening:
                    open_picture(path)  # so that an unreadable picture is reported at once
            detection = self._join(key, path)
            try:
                while True:
                    try:
                        return detection.future.result(_POLL)
                    except TimeoutError:
                        yield Stage.DETECTING if detection.future.running() else Stage.WAITING
            finally:
                self._leave(key, detection)
        finally:
            with self._lock:
                self._waiting -= 1

    def find(self, path: Path) -> DetectedRegions | None:
        """Return the regions of a picture file if the cache holds them, without detecting any.

        Raises:
            DataError: the file is missing.
        """
        return self._find(_hash(path))

    def close(self) -> None:
        """Detect no more pictures than the one in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._entries)

    def _find(self, key: str) -> DetectedRegions | None:
        with self._lock:
            detected = self._entries.get(key)
            if detected is not None:
                self._entries.move_to_end(key)
            return detected

    def _enter(self) -> None:
        """Count a request that waits for a detection, its own or another's."""
        with self._lock:
            if self.is_slow and self._waiting >= _MAX_WAITING:
                raise DataError(
                    f"{_MAX_WAITING} other requests wait for the detector; "
                    "try again in some minutes"
                )
            self._waiting += 1

    def _join(self, key: str, path: Path) -> _Detection:
        """Let the executor detect a picture, unless another request has begun that already."""
        with self._lock:
            detection = self._pending.get(key)
            if detection is None and key in self._entries:
                detection = _Detection(Future())
                detection.future.set_result(self._entries[key])
            elif detection is None:
                detection = _Detection(self._executor.submit(self._run_detector, key, path))
                self._pending[key] = detection
            detection.waiters += 1
            return detection

    def _leave(self, key: str, detection: _Detection) -> None:
        """Cancel a queued detection that no other request waits for."""
        with self._lock:
            detection.waiters -= 1
            if detection.waiters == 0 and detection.future.cancel():
                del self._pending[key]

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


def _hash(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as problem:
        raise DataError(f"picture cannot be read ({problem.strerror}): {path}") from None
