"""Folders and datasets with any names that a file system allows."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dataset_files import write_official, write_pictures, write_regions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lxcompress.data.dataset import open_dataset
from lxcompress.data.importing import import_dataset
from lxcompress.data.split_source import SplitSource
from lxcompress.errors import ConfigError

_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 100)


@given(_NAMES, _NAMES)
@example("2024", "2024-01-01")
@example("yes", "null")
@example(" a: b #c", "- 'x' \"y\"")
@example("two\nlines", "\u2028\x85\ufeff")
@example("cafe\u0301", "caf\u00e9")
@settings(deadline=None, max_examples=25)
@example(folder="0", name="a\x85b")  # NEL, a line break of YAML
def test_any_name_of_a_folder_and_a_dataset(folder: str, name: str) -> None:
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        files = write_official(root / "s", "train", [1])
        regions = write_regions(root / "r" / folder, ["1"])
        source = SplitSource(files["questions"], files["annotations"], regions=(regions,))
        output = root / "d" / name
        import_dataset(output, {"train": source}, name=name, min_occurrences=1)
        dataset = open_dataset(output)
        assert dataset.name == name
        assert len(dataset.split("train").questions) == 2


def test_names_that_are_not_utf_8_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    odd = os.fsdecode("café".encode("latin-1"))
    files = write_official(tmp_path / odd / "s", "train", [1])
    pictures = write_pictures(tmp_path / odd / "p", [1])
    source = SplitSource(files["questions"], files["annotations"], images=(pictures,))
    for output, name, option in (
        (tmp_path / "d", "x", "--train-images"),
        (tmp_path / "d", odd, "--name"),
        (tmp_path / odd / "d", "x", "--output"),
    ):
        with pytest.raises(ConfigError, match=f"{option} .*not a name in UTF-8; rename it"):
            import_dataset(output, {"train": source}, name=name, detector="pixel")
        assert not output.exists()
