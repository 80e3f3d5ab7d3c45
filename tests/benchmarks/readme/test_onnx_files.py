"""The benchmark of the exported files runs on a tiny model and reports what it measures."""

from pathlib import Path

import pytest
from speed_records import read_report

from benchmarks.readme import blocks, onnx_files
from benchmarks.readme.blocks import parts


def test_report_of_onnx_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ["--small", "--repeats", "1", "--runs", "2", "--seconds", "0"]
    onnx_files.main([*quick, "--output", str(tmp_path / "onnx_files.json")])
    measured = read_report(tmp_path / "onnx_files.json")["measurements"]
    sparse = [name for name in measured["files"] if "sparse" in name]
    assert len(measured["files"]) == 6 and len(sparse) == 3
    for name, record in measured["files"].items():
        assert record["bytes"] > record["formula"]["total"], name
    for name in sparse:
        assert measured["files"][name]["pruned"] * 2 == pytest.approx(
            measured["files"][name]["prunable"], abs=1
        )
        for loader in ("stock", "runtime"):
            assert measured["answers"][f"{loader} {name}"]["bit_equal_to_dense_file"]
            assert measured["loading"][f"{loader} {name}"]["peak_bytes"]["unit"] == "bytes"
    assert measured["latency"].keys() == {"1", "8"}
    for systems in measured["latency"].values():
        assert len(systems) == 10
        assert all(len(record["samples"]) == 2 for record in systems.values())
    assert "model_sparse_int8.onnx" in capsys.readouterr().out
    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    table = blocks.onnx_files().split("\n\n")[0].splitlines()
    assert len(table) == 2 + 10 and {line.count("|") for line in table} == {8}
