"""The index of a folder of regions: damage is found at opening."""

from pathlib import Path

import pytest
from dataset_files import SHARD, write_regions

from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError


def test_damaged_folders_are_found_at_opening(tmp_path: Path) -> None:
    folder = write_regions(tmp_path / "r", ["a", "b"])
    index = (folder / "index.json").read_text()
    for old, new, message in (
        ('"feature_size": 8', '"feature_size": 9', "does not fit its index: features"),
        ('"b"', '"b", "c"', "has 2 pictures, its index 3"),
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
