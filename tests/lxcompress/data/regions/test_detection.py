"""Detecting the regions of folders of pictures."""

import json
import os
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


def broken_files(folder: Path) -> list[str]:
    """Write a cut-off picture, a page, an empty file and a file in Latin-1; return their names."""
    Image.effect_noise((64, 64), 50).save(folder / "10.png")
    whole = (folder / "10.png").read_bytes()
    (folder / "10.png").write_bytes(whole[: len(whole) // 2])
    (folder / "11.png").write_text("<!DOCTYPE html><p>404")
    (folder / "12.png").touch()
    misnamed = os.fsdecode("café.png".encode("latin-1"))
    Image.new("RGB", (4, 4)).save(folder / misnamed)
    return ["10", "11", "12", r"caf\xe9.png"]


def test_broken_pictures_are_skipped_and_listed(tmp_path: Path) -> None:
    detector = StubDetector()
    pictures, output = write_pictures(tmp_path / "p", range(1, 4)), tmp_path / "r"
    names = broken_files(pictures)
    with pytest.raises(DataError, match=r"1 pictures are not UTF-8, .*caf\\xe9.*--skip-broken"):
        detect_folder(pictures, output, detector)
    assert not output.exists() and not detector.seen
    (pictures / os.fsdecode("café.png".encode("latin-1"))).unlink()
    with pytest.raises(DataError, match=r"10\.png.*--skip-broken"):
        detect_folder(pictures, output, detector)

    broken_files(pictures)
    store = detect_folder(pictures, output, detector, skip_broken=True)
    assert store.image_ids == ["1", "2", "3"] and sorted(store.skipped) == names
    assert "not a picture" in store.skipped["11"] and "11.png" in store.skipped["11"]

    Image.new("RGB", (31, 10)).save(pictures / "11.png")
    store = detect_folder(pictures, output, detector, skip_broken=True)
    assert store.image_ids == ["1", "2", "3", "11"]
    assert sorted(store.skipped) == [name for name in names if name != "11"]
    assert RegionStore(output).skipped == store.skipped
    for path in set(pictures.iterdir()) - {pictures / "11.png"}:
        if not path.name.startswith("COCO"):
            path.unlink()
    assert not detect_folder(pictures, output, detector).skipped


def test_nothing_is_written_when_every_picture_is_broken(tmp_path: Path) -> None:
    broken_files(tmp_path)
    with pytest.raises(DataError, match="none of the 3 pictures can be read"):
        detect_folder(tmp_path, tmp_path / "r", StubDetector(), skip_broken=True)
    assert [path.name for path in (tmp_path / "r").iterdir()] in ([], [".lock"])


def test_an_index_without_skipped_pictures_is_as_before(tmp_path: Path) -> None:
    detect_folder(write_pictures(tmp_path / "p", [1]), tmp_path / "r", StubDetector())
    assert "skipped" not in json.loads((tmp_path / "r" / "index.json").read_text())
