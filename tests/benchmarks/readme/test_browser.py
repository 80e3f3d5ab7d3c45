"""The benchmark in onnxruntime-web runs on a tiny model and reports what it measures."""

import shutil
from pathlib import Path

import pytest
from speed_records import read_report

from benchmarks.browser.onnxruntime_web import install
from benchmarks.readme import browser
from lxcompress.errors import LxcompressError
from lxcompress.system.cache import writable_cache


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm")
    try:
        install(writable_cache() / "onnxruntime-web")
    except LxcompressError as problem:
        pytest.skip(str(problem))
    browser.main(["--small", "--runs", "3", "--output", str(tmp_path / "browser.json")])
    measured = read_report(tmp_path / "browser.json")["measurements"]
    assert measured["versions"].keys() == {"node", "onnxruntime-web"}
    assert len(measured["files"]) == 6
    for name, record in measured["files"].items():
        assert len(record["run"]["samples"]) == 3 and record["load"]["median"] > 0
        assert ("times_the_dense_file" in record) == ("sparse" in name)
    assert "model_sparse_int8.onnx" in capsys.readouterr().out
