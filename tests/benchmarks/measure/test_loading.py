"""Loading is measured in new processes, whatever the current folder holds."""

from pathlib import Path

import pytest

from benchmarks.measure.loading import LOADERS, Case, load_in_rounds
from lxcompress.errors import ModelError


def test_hostile_modules_in_the_current_folder_are_not_imported(
    tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("benchmarks", "exporters", "json", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported the wrong module')")
    monkeypatch.chdir(tmp_path)
    path = tiny_exported / "onnx" / "model_sparse.onnx"
    cases: list[Case] = [(loader, path) for loader in LOADERS]
    loaded: list[Path] = []
    measured = load_in_rounds(cases, "cpu", 1, loaded.append)
    assert measured.keys() == set(cases) and loaded == [path, path]
    for (load,) in measured.values():
        assert load.seconds > 0 and 0 < load.kept_bytes <= load.peak_bytes


def test_a_file_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing.onnx .stock. in a new process failed"):
        load_in_rounds([("stock", tmp_path / "missing.onnx")], "cpu", 1)
