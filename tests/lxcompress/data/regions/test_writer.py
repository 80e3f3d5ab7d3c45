"""Writing regions: values are checked, and an interrupted writer continues."""

from pathlib import Path

import numpy as np
import pytest
from dataset_files import some_regions, write_regions

from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError


def test_features_are_the_nearest_float16(tmp_path: Path) -> None:
    value = np.array([[1 / 3, 65504.0, 1e-8]], np.float32)
    with RegionWriter(tmp_path, "stub", 3, 1) as writer:
        writer.append("a", value, [[0, 0, 1, 1]], (1, 1))
        writer.finish()
    features = RegionStore(tmp_path).gather(["a"]).features
    np.testing.assert_array_equal(features[0], value.astype(np.float16))


@pytest.mark.parametrize(
    ("features", "boxes", "message"),
    [
        ([[1, 2, 3]], [[0, 0, 1, 1]], r"features \(1, 3\), expected \[n, 2\]"),
        ([[1, 2]], [[0, 0, 1]], r"boxes \(1, 3\) for 1 regions"),
        ([[1, 2]] * 3, [[0, 0, 1, 1]] * 3, "3 regions, at most 2 fit"),
        ([[1, np.nan]], [[0, 0, 1, 1]], "NaN or infinite"),
        ([[1, np.inf]], [[0, 0, 1, 1]], "NaN or infinite"),
        ([[1, 70000]], [[0, 0, 1, 1]], "too large for float16"),
        ([[1, 2]], [[0, 0, 1, 1.1]], "outside the picture"),
        ([[1, 2]], [[0, 0, 1, np.nan]], "outside the picture"),
        ([[1, 2]], [[0.5, 0, 0.4, 1]], "ends before it begins"),
    ],
)
def test_wrong_values_are_rejected(
    tmp_path: Path, features: list[list[float]], boxes: list[list[float]], message: str
) -> None:
    with RegionWriter(tmp_path, "stub", 2, 2) as writer:
        with pytest.raises(DataError, match=message):
            writer.append("a", features, boxes, (10, 10))
        with pytest.raises(DataError, match="size 0 x 10"):
            writer.append("a", [[1, 2]], [[0, 0, 1, 1]], (0, 10))
        writer.append("a", [[1, 2]], [[-0.0005, 0, 1, 1.0005]], (10, 10))
        with pytest.raises(DataError, match="'a' appears twice"):
            writer.append("a", [[1, 2]], [[0, 0, 1, 1]], (10, 10))
        writer.finish()
    assert RegionStore(tmp_path).gather(["a"]).boxes.tolist() == [[[0, 0, 1, 1]]]


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 7])
def test_an_interrupted_writer_continues_to_the_same_bytes(tmp_path: Path, stop: int) -> None:
    images = [str(number) for number in range(7)]
    whole = write_regions(tmp_path / "whole", images)
    part = tmp_path / "part"

    def write(until: int) -> None:
        with RegionWriter(part, "pixel", 8, 4, shard_rows=3) as writer:
            for number, image in enumerate(images):
                if image not in writer:
                    if number == until:
                        raise KeyboardInterrupt
                    writer.append(image, *some_regions(number, 1 + number % 4, 8), (30, 40))
            writer.finish()

    if stop < len(images):
        with pytest.raises(KeyboardInterrupt):
            write(stop)
        with pytest.raises(DataError, match="not complete"):
            RegionStore(part)
    write(len(images))
    assert contents(part) == contents(whole)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_complete_folder_can_be_extended(tmp_path: Path) -> None:
    write_regions(tmp_path, ["a", "b"])
    before = RegionStore(tmp_path).gather(["a", "b"]).features.copy()
    with RegionWriter(tmp_path, "pixel", 8, 4) as writer:
        assert len(writer) == 2 and "a" in writer
        writer.append("c", *some_regions(9, 4, 8), (1, 1))
        writer.finish()
    store = RegionStore(tmp_path)
    np.testing.assert_array_equal(store.gather(["a", "b"]).features, before)
    np.testing.assert_array_equal(store.gather(["c"]).features[0], some_regions(9, 4, 8)[0])


def test_a_folder_of_other_regions_or_in_use_is_rejected(tmp_path: Path) -> None:
    write_regions(tmp_path, ["a"], detector="pixel")
    with (
        pytest.raises(DataError, match="detector 'pixel', not 'butd'"),
        RegionWriter(tmp_path, "butd", 8, 4),
    ):
        pass
    with (
        RegionWriter(tmp_path, "pixel", 8, 4),
        pytest.raises(DataError, match="another process"),
        RegionWriter(tmp_path, "pixel", 8, 4),
    ):
        pass
    assert RegionStore(tmp_path).image_ids == ["a"]  # refused, or nothing new: still complete
