"""Region shards: ordinary safetensors files, and damage that is found at opening."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from dataset_files import SHARD, write_regions
from safetensors.numpy import load_file, save_file

from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError


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
