"""Each picture's regions are detected once."""

import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.answers import region_cache
from app.answers.region_cache import RegionCache
from app.answers.stages import Stage
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import DataError
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions


class CountingDetector(PixelDetector):
    """Counts the pictures, and is slow enough for threads to overlap."""

    def __init__(self) -> None:
        self.count = 0

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        self.count += len(pictures)
        time.sleep(0.05)
        return super().detect(pictures)


def test_each_picture_is_detected_once(tmp_path: Path) -> None:
    detector = CountingDetector()
    cache = RegionCache(detector, size=2)
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        render(make_scene(0, "demo", number)).save(paths[-1])
    same = Path(shutil.copy(paths[0], tmp_path / "copy.png"))

    threads = [threading.Thread(target=cache.detect, args=[path]) for path in [paths[0], same] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert detector.count == 1  # keyed by content, and once for all threads
    (expected,) = PixelDetector().detect([open_picture(paths[0])])
    detected = cache.detect(paths[0])
    np.testing.assert_array_equal(detected.regions.features, expected.features)
    np.testing.assert_array_equal(detected.regions.boxes, expected.boxes)

    cache.detect(paths[1])
    cache.detect(paths[0])
    cache.detect(paths[2])  # evicts the least recently used
    assert len(cache) == 2 and detector.count == 3
    cache.detect(paths[0])
    assert detector.count == 3
    cache.detect(paths[1])
    assert detector.count == 4


def test_an_unreadable_picture_is_not_cached(tmp_path: Path) -> None:
    cache = RegionCache(PixelDetector())
    path = tmp_path / "text.png"
    path.write_text("hello")
    for _ in range(2):
        with pytest.raises(DataError, match="not a picture"):
            cache.detect(path)
    render(make_scene(0, "demo", 0)).save(path)
    assert len(cache.detect(path).regions.boxes) and len(cache) == 1


def test_the_preview_of_a_large_picture_is_small(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    render(make_scene(0, "demo", 0)).resize((3000, 1500)).save(path)
    assert RegionCache(PixelDetector()).detect(path).preview.size == (768, 384)


class PausedDetector(PixelDetector):
    """Waits in `detect` until it may go on; knows the pictures that it is working on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.started = threading.Semaphore(0)

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        self.started.release()
        assert self.may_go_on.wait(30)
        return super().detect(pictures)


class PausedLearnedDetector(PausedDetector):
    weights = "stand for a detector with weights, which is slow"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        render(make_scene(0, "demo", number)).save(path)
    return paths


def test_a_cached_picture_waits_for_no_other(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_cache, "_MAX_WAITING", 2)
    detector = PausedLearnedDetector()
    cache = RegionCache(detector)
    detector.may_go_on.set()
    first = cache.detect(paths[0])
    assert cache.latest_seconds is not None and detector.started.acquire(timeout=30)
    detector.may_go_on.clear()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(cache.detect, paths[1])
        assert detector.started.acquire(timeout=30)
        assert cache.detect(paths[0]) is first
        unreadable = paths[0].with_name("text.png")
        unreadable.write_text("hello")
        with pytest.raises(DataError, match="not a picture"):  # at once
            cache.detect(unreadable)
        waiting = cache.detect_in_stages(paths[2])
        assert [next(waiting), next(waiting)] == [Stage.OPENING, Stage.WAITING]
        with pytest.raises(DataError, match="2 other requests wait for the detector; try again"):
            cache.detect(paths[3])
        assert cache.detect(paths[0]) is first  # also when no more may wait
        assert not detector.started.acquire(blocking=False)  # one at a time
        detector.may_go_on.set()
        running.result(30)
        assert set(waiting) <= {Stage.DETECTING} and len(cache) == 3


def test_requests_for_a_pending_picture_count_and_may_give_up(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_cache, "_MAX_WAITING", 3)
    detector = PausedLearnedDetector()
    cache = RegionCache(detector)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(cache.detect, paths[0])
        assert detector.started.acquire(timeout=30)
        joined = [cache.detect_in_stages(paths[1]) for _ in range(2)]
        for one in joined:
            assert [next(one), next(one), next(one)] == [Stage.OPENING, *[Stage.WAITING] * 2]
        for path in paths[:2]:  # of the picture in progress and the one that waits
            with pytest.raises(DataError, match="3 other requests wait for the detector"):
                cache.detect(path)
        joined[0].close()
        again = cache.detect_in_stages(paths[1])
        assert next(again) == Stage.OPENING
        for one in (again, joined[1]):
            one.close()
        other = pool.submit(cache.detect, paths[2])
        detector.may_go_on.set()
        running.result(30)
        other.result(30)
    assert cache.find(paths[0]) is running.result()
    assert cache.find(paths[1]) is None and len(cache) == 2  # cancelled: no request waited for it
    cache.detect(paths[1])


def test_a_detector_without_weights_takes_two_pictures_at_once(paths: list[Path]) -> None:
    detector = PausedDetector()
    cache = RegionCache(detector)
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(cache.detect, path) for path in paths]
        for _ in range(2):
            assert detector.started.acquire(timeout=30)
        assert not detector.started.acquire(timeout=0.1)  # the memory of opened pictures is bounded
        detector.may_go_on.set()
        assert len({id(one.result(30)) for one in found}) == 4
    assert list(cache.detect_in_stages(paths[0])) == []
