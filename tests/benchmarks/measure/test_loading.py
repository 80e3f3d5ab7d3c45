"""Loading is measured in child processes, wherever the user stands."""

from pathlib import Path

import pytest

from benchmarks.measure import loading


def test_hostile_modules_in_the_current_folder_are_not_imported(
    tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("benchmarks", "exporters", "json", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported the wrong module')")
    monkeypatch.chdir(tmp_path)
    cases = [(loader, tiny_exported / "onnx" / "model_sparse.onnx") for loader in loading.LOADERS]
    measured = loading.compare(cases, "cpu", 1)
    assert len(measured) == 2
    for record in measured.values():
        assert record["seconds"]["median"] > 0
