"""Folders that an export can write to, and those it must not."""

from pathlib import Path

import pytest

from exporters.targets.output_folder import check_output_folder
from lxcompress.errors import ConfigError


def test_new_and_existing_folders_beside_used_ones(tmp_path: Path) -> None:
    used = [tmp_path / "run" / "ticket", tmp_path / "run-2"]
    for name in ("new", "deep/new", "run/other", "run-20"):
        check_output_folder("--hub", tmp_path / name, used)
        assert not (tmp_path / name).exists()
    check_output_folder("--triton", tmp_path, [])


@pytest.mark.parametrize("name", ["run", "run/ticket", "run/ticket/deep", "run/../run", "."])
def test_overlapping_folders_are_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--hub .* overlaps with .*ticket; choose another --hub"):
        check_output_folder("--hub", tmp_path / name, [tmp_path / "run" / "ticket"])


def test_files_are_no_parent_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/new"):
        with pytest.raises(ConfigError, match="cannot be written to .*file is a file"):
            check_output_folder("--hub", tmp_path / name, [])
