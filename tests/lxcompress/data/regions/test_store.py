"""Reading regions: exact round trips, no data read at opening, damage that is found."""

import json
import pickle
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dataset_files import SHARD, some_regions, write_regions
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError


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
        requested = data.draw(
            st.lists(st.sampled_from(range(len(images))), min_size=1, max_size=12)
        )
        batch = store.gather([images[number] for number in requested])

        assert store.image_ids == images
        assert (store.detector, store.feature_size, store.max_regions) == ("stub", feature_size, 4)
        assert batch.num_regions.tolist() == counts[requested].tolist()
        width = max(1, counts[requested].max())
        assert batch.features.shape == (len(requested), width, feature_size)
        assert batch.features.dtype == np.float16
        for position, number in enumerate(requested):
            count = counts[number]
            np.testing.assert_array_equal(batch.features[position, :count], rows[number][0])
            np.testing.assert_array_equal(batch.boxes[position, :count], rows[number][1])
            assert not batch.features[position, count:].any()
            assert not batch.boxes[position, count:].any()
            assert store.image_size(images[number]) == (number + 1, number + 2)


def test_opening_reads_no_data(tmp_path: Path) -> None:
    """A 15 GB set of regions (a sparse file) opens at once and takes hardly any memory."""
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

    began = time.perf_counter()
    RegionStore(tmp_path)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    store = RegionStore(tmp_path)
    batch = store.gather(["5", "99999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(store) == rows and batch.features.shape == (2, 1, size)
    assert seconds < 3  # 0.1 s on an idle machine; reading the data would take far longer
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


def test_a_store_is_pickled_as_its_folder_names(tmp_path: Path) -> None:
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
