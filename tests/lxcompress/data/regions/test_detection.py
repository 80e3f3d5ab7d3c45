"""Detecting the regions of folders of pictures."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from dataset_files import write_pictures
from PIL import Image
from stub_detector import StubDetector

from lxcompress.data.regions.detection import detect_folder
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError, Interrupted
from lxcompress.vision.regions import Regions


def test_detection_keeps_finished_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = StubDetector()
    pictures, output = write_pictures(tmp_path / "p", range(1, 6)), tmp_path / "r"
    (pictures / "notes.txt").write_text("no picture")
    bad = pictures / "COCO_train2014_000000000004.png"
    good = bad.read_bytes()
    bad.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=bad.name):
        detect_folder(pictures, output, detector, batch_size=1)
    assert detector.seen == 3
    bad.write_bytes(good)

    with monkeypatch.context() as patch:
        patch.setattr(detector, "detect", interrupt)
        with pytest.raises(Interrupted, match="3 of 5 pictures"):
            detect_folder(pictures, output, detector, batch_size=1)
    store = detect_folder(pictures, output, detector, batch_size=1)
    assert detector.seen == 5 and store.image_ids == ["1", "2", "3", "4", "5"]

    write_pictures(pictures, [6])
    assert len(detect_folder(pictures, output, detector)) == 6 and detector.seen == 6
    assert len(RegionStore(output)) == 6


def interrupt(pictures: Sequence[Image.Image]) -> list[Regions]:
    raise KeyboardInterrupt


def test_folders_without_usable_pictures(tmp_path: Path) -> None:
    detector = StubDetector()
    with pytest.raises(DataError, match="folder of pictures not found"):
        detect_folder(tmp_path / "absent", tmp_path / "r", detector)
    (tmp_path / "p").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        detect_folder(tmp_path / "p", tmp_path / "r", detector)
    for suffix in ("png", "jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / "p" / f"7.{suffix}")
    with pytest.raises(DataError, match="two pictures have the id '7'"):
        detect_folder(tmp_path / "p", tmp_path / "r", detector)
