"""Copy exported ONNX files, and check the copies against the export's report."""

from __future__ import annotations

import shutil
from pathlib import Path

from exporters.graph.onnx_file import data_file
from lxcompress.errors import ModelError
from lxcompress.system.files import sha256


def copy_onnx_file(path: Path, copy: Path, hashes: str) -> None:
    """Copy an ONNX file, and its external data if it has any, and check the copy.

    `hashes` are the file's in the export's report (as `file_hashes`).

    Raises:
        ModelError: the file is missing or was changed after the export.
    """
    for source, target in _files(path, copy):
        if source.exists():
            shutil.copyfile(source, target)
    if not is_copy(path, copy, hashes):
        raise ModelError(f"{path} is not the file that was checked; export it again")


def is_copy(path: Path, copy: Path, hashes: str) -> bool:
    """Whether `copy` is a copy of the ONNX file that was exported as `path` with these `hashes`."""
    found = [sha256(target) for _, target in _files(path, copy) if target.exists()]
    return " ".join(found) == hashes


def _files(path: Path, copy: Path) -> list[tuple[Path, Path]]:
    # The model refers to its external data by name, so that these keep it in the copy.
    data = data_file(path)
    return [(path, copy), (data, copy.with_name(data.name))]
