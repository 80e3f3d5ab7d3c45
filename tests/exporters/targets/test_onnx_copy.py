"""Copies of exported files are checked, external data included."""

from pathlib import Path

import pytest

from exporters.graph.onnx_file import data_file, file_hashes
from exporters.targets.onnx_copy import copy_onnx_file, is_copy
from lxcompress.errors import ModelError


@pytest.fixture(params=[False, True], ids=["one-file", "external-data"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "model_sparse.onnx"
    path.write_bytes(b"graph")
    if request.param:
        data_file(path).write_bytes(b"weights")
    return path


def test_the_copy_has_another_name_but_the_same_external_data(
    exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    copy = tmp_path / "1" / "model.onnx"
    copy_onnx_file(exported, copy, file_hashes(exported))
    assert copy.read_bytes() == b"graph"
    data = copy.with_name("model_sparse.onnx_data")
    assert data.exists() == data_file(exported).exists()
    assert not data.exists() or data.read_bytes() == b"weights"
    assert is_copy(exported, copy, file_hashes(exported))
    copy.write_bytes(b"edited")
    assert not is_copy(exported, copy, file_hashes(exported))


def test_changed_and_missing_files_are_rejected(exported: Path, tmp_path: Path) -> None:
    hashes = file_hashes(exported)
    (tmp_path / "copies").mkdir()
    copy = tmp_path / "copies" / exported.name
    for change in (lambda: exported.write_bytes(b"edited"), exported.unlink):
        change()
        with pytest.raises(ModelError, match="model_sparse.onnx is not the file that was checked"):
            copy_onnx_file(exported, copy, hashes)
