"""Region shards: exact round trips, damage that is found, writing that continues."""

import hashlib
import json
import pickle
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dataset_files import some_regions, write_regions
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError

SHARD = "regions-00000.safetensors"


@settings(max_examples=25, deadline=None)
@given(
    images=st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=9),
    feature_size=st.integers(1, 7),
    shard_rows=st.integers(1, 5),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_what_is_written_is_read_to_the_bit(
    images: list[str], feature_size: int, shard_rows: int, seed: int, data: st.DataObject
) -> None:
    counts = np.random.default_rng(seed).integers(0, 5, len(images))
    rows = [some_regions(seed + n, int(count), feature_size) for n, count in enumerate(counts)]
    with tempfile.TemporaryDirectory() as name:
        with RegionWriter(Path(name), "stub", feature_size, 4, shard_rows) as writer:
            for number, image in enumerate(images):
                writer.append(image, *rows[number], (number + 1, number + 2))
            writer.finish()
        store = RegionStore(name)
        asked = data.draw(st.lists(st.sampled_from(range(len(images))), min_size=1, max_size=12))
        batch = store.gather([images[number] for number in asked])

        assert store.image_ids == images
        assert (store.detector, store.feature_size, store.max_regions) == ("stub", feature_size, 4)
        assert batch.num_regions.tolist() == counts[asked].tolist()
        width = max(1, counts[asked].max())
        assert batch.features.shape == (len(asked), width, feature_size)
        assert batch.features.dtype == np.float16
        for place, number in enumerate(asked):
            count = counts[number]
            np.testing.assert_array_equal(batch.features[place, :count], rows[number][0])
            np.testing.assert_array_equal(batch.boxes[place, :count], rows[number][1])
            assert not batch.features[place, count:].any()
            assert not batch.boxes[place, count:].any()
            assert store.image_size(images[number]) == (number + 1, number + 2)


def test_a_shard_is_an_ordinary_safetensors_file(tmp_path: Path) -> None:
    write_regions(tmp_path, ["a", "b"])
    tensors = load_file(tmp_path / SHARD)
    shapes = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    assert shapes == {
        "features": ((2, 4, 8), "float16"),
        "boxes": ((2, 4, 4), "float32"),
        "num_regions": ((2,), "int32"),
        "image_sizes": ((2, 2), "int32"),
    }
    index = (tmp_path / "index.json").stat()
    assert (tmp_path / SHARD).stat().st_mode == index.st_mode, "others may read it as well"


def test_the_layout_of_a_shard_does_not_change(tmp_path: Path) -> None:
    """Written by hand here: a header padded to 8 bytes, then the widest types first."""
    write_regions(tmp_path, ["a", "b"])
    tensors = load_file(tmp_path / SHARD)
    header, data = {}, b""
    for name, dtype in (
        ("boxes", "F32"),
        ("image_sizes", "I32"),
        ("num_regions", "I32"),
        ("features", "F16"),
    ):
        content = tensors[name].tobytes()
        offsets = [len(data), len(data) + len(content)]
        shape = list(tensors[name].shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    written = struct.pack("<Q", len(text)) + text + data
    assert (tmp_path / SHARD).read_bytes() == written
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["shards"][0]["sha256"] == hashlib.sha256(written).hexdigest()


def test_features_are_the_nearest_float16(tmp_path: Path) -> None:
    value = np.array([[1 / 3, 65504.0, 1e-8]], np.float32)
    with RegionWriter(tmp_path, "stub", 3, 1) as writer:
        writer.append("a", value, [[0, 0, 1, 1]], (1, 1))
        writer.finish()
    features = RegionStore(tmp_path).gather(["a"]).features
    np.testing.assert_array_equal(features[0], value.astype(np.float16))


def test_opening_reads_no_data(tmp_path: Path) -> None:
    """A 15 GB set of regions (a sparse file) opens at once and takes next to no memory."""
    rows, regions, size = 100_000, 36, 2048
    shapes = {
        "boxes": ("F32", 4, [rows, regions, 4]),
        "image_sizes": ("I32", 4, [rows, 2]),
        "num_regions": ("I32", 4, [rows]),
        "features": ("F16", 2, [rows, regions, size]),
    }
    header, end = {}, 0
    for name, (dtype, width, shape) in shapes.items():
        begin, end = end, end + width * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(tmp_path / SHARD, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    write_index(tmp_path, [str(image) for image in range(rows)], regions, size)

    tracemalloc.start()
    began = time.perf_counter()
    store = RegionStore(tmp_path)
    seconds = time.perf_counter() - began
    batch = store.gather(["5", "99999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(store) == rows and batch.features.shape == (2, 1, size)
    assert seconds < 3  # 0.1 s without tracemalloc; reading the data would take far longer
    assert peak < 64 << 20


def write_index(folder: Path, images: list[str], max_regions: int, feature_size: int) -> None:
    index = {
        "version": 1,
        "detector": "stub",
        "feature_size": feature_size,
        "max_regions": max_regions,
        "shard_rows": len(images),
        "shards": [{"file": SHARD, "images": images, "sha256": ""}],
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def test_a_store_travels_as_its_folder_names(tmp_path: Path) -> None:
    store = RegionStore(write_regions(tmp_path, map(str, range(50))))
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    np.testing.assert_array_equal(again.gather(["7"]).features, store.gather(["7"]).features)


def test_several_folders_are_one_store(tmp_path: Path) -> None:
    one = write_regions(tmp_path / "1", ["a", "b"])
    two = write_regions(tmp_path / "2", ["c"])
    other = write_regions(tmp_path / "3", ["d"], detector="other")
    store = RegionStore(one, two)
    assert store.image_ids == ["a", "b", "c"]
    np.testing.assert_array_equal(
        store.gather(["c", "a"]).features[0, :1], RegionStore(two).gather(["c"]).features[0]
    )
    with pytest.raises(DataError, match="must come from one detector"):
        RegionStore(one, other)
    with pytest.raises(DataError, match="twice"):
        RegionStore(one, one)


def test_unknown_pictures_are_named(tmp_path: Path) -> None:
    store = RegionStore(write_regions(tmp_path, ["a", "b"]))
    assert "a" in store and "x" not in store
    assert store.missing(["x", "a", "y", "x"]) == ["x", "y"]
    with pytest.raises(DataError, match="'x' has no regions"):
        store.gather(["a", "x"])
    with pytest.raises(DataError, match="'x' has no regions"):
        store.image_size("x")


@pytest.mark.parametrize("keep", [0, 4, 60, 500, -1])
def test_a_shard_cut_off_anywhere_is_found_at_opening(tmp_path: Path, keep: int) -> None:
    write_regions(tmp_path, ["a", "b", "c"])
    data = (tmp_path / SHARD).read_bytes()
    (tmp_path / SHARD).write_bytes(data[:keep])
    with pytest.raises(DataError, match=rf"cut off.*{SHARD}"):
        RegionStore(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"features": np.zeros((2, 4, 8), np.float16)}, "not a region shard"),
        (
            {
                "features": np.zeros((2, 4, 8), np.float32),
                "boxes": np.zeros((2, 4, 4), np.float32),
                "num_regions": np.zeros(2, np.int32),
                "image_sizes": np.zeros((2, 2), np.int32),
            },
            "does not fit its index: features is .*F32",
        ),
        (
            {
                "features": np.zeros((2, 4, 8), np.float16),
                "boxes": np.zeros((2, 4, 4), np.float32),
                "num_regions": np.zeros((), np.int32),
                "image_sizes": np.zeros((2, 2), np.int32),
            },
            "does not fit its index: features is ",
        ),
    ],
)
def test_other_tensors_are_found_at_opening(
    tmp_path: Path, tensors: dict[str, np.ndarray], message: str
) -> None:
    write_regions(tmp_path, ["a", "b"])
    save_file(tensors, tmp_path / SHARD)
    with pytest.raises(DataError, match=rf"{message}.*{SHARD}"):
        RegionStore(tmp_path)


@pytest.mark.parametrize("how", ["longer", "other header", "folder"])
def test_what_is_no_shard_is_found_at_opening(tmp_path: Path, how: str) -> None:
    write_regions(tmp_path, ["a", "b"])
    path = tmp_path / SHARD
    data = path.read_bytes()
    if how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(data + b"more" if how == "longer" else data.replace(b"dtype", b"dtypo"))
    with pytest.raises(DataError, match=rf"damaged.*{SHARD}") as caught:
        RegionStore(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_folders_are_found_at_opening(tmp_path: Path) -> None:
    folder = write_regions(tmp_path / "r", ["a", "b"])
    index = (folder / "index.json").read_text()
    for old, new, message in (
        ('"feature_size": 8', '"feature_size": 9', "does not fit its index: features"),
        ('"b"', '"b", "c"', "holds 2 pictures, its index says 3"),
        ('"b"', '"a"', "twice"),
        ('"version": 1', '"version": 2', "not an index of regions: version"),
        (SHARD, "../other", "outside its folder"),
        (SHARD, "regions-00007.safetensors", "not found"),
    ):
        assert old in index
        (folder / "index.json").write_text(index.replace(old, new))
        with pytest.raises(DataError, match=message):
            RegionStore(folder)
    (folder / "index.json").unlink()
    with pytest.raises(DataError, match=r"no index\.json"):
        RegionStore(folder)
    with pytest.raises(DataError, match="not found"):
        RegionStore(tmp_path / "elsewhere")


def test_nan_on_disk_is_an_error_naming_the_picture(tmp_path: Path) -> None:
    write_regions(tmp_path, ["a", "b"], feature_size=8)
    path = tmp_path / SHARD
    data = bytearray(path.read_bytes())
    second_row = len(data) - 4 * 8 * 2  # the features are last
    data[second_row : second_row + 2] = np.float16(np.nan).tobytes()
    path.write_bytes(data)
    store = RegionStore(tmp_path)
    store.gather(["a"])
    with pytest.raises(DataError, match="'b' has NaN"):
        store.gather(["a", "b"])
    assert list(store.damaged()) == [(2, ["b"])]


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
def test_values_that_do_not_fit_are_refused(
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


def test_a_folder_of_other_regions_or_in_use_is_refused(tmp_path: Path) -> None:
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
