"""The comparison with peers runs on a tiny model, with torch-pruning or without it."""

import importlib.util
from pathlib import Path

import pytest
from speed_records import read_report

from benchmarks.readme import blocks
from benchmarks.readme.blocks import parts
from benchmarks.readme.peers import measure


def test_report_of_peers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ["--small", "--runs", "2", "--seconds", "0"]
    measure.main([*quick, "--output", str(tmp_path / "peers.json")])
    measured = read_report(tmp_path / "peers.json")["measurements"]
    systems, files = measured["systems"], measured["files"]
    assert systems["structured 50% int8"]["multiply_adds"] < systems["dense int8"]["multiply_adds"]
    both = "structured 50%, then unstructured, 75% in all int8"
    assert systems[both]["sparsity"] > systems["structured 50% int8"]["sparsity"]
    sizes = [files[f"{name} int8"]["bytes"] for name in ("dense", "structured 50%")]
    assert sizes[1] < sizes[0]
    timed = {"PyTorch eager", *(name for name in files if "75%" not in name)}
    for times in measured["latency"].values():
        assert times.keys() == timed
        assert all(len(record["samples"]) == 2 for record in times.values())
    if importlib.util.find_spec("torch_pruning") is None:
        assert systems["torch-pruning"] == {
            "error": "ModuleNotFoundError: No module named 'torch_pruning'"
        }
    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    table = blocks.peers().split("\n\n")[0].splitlines()
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 2 + sum("error" not in system for system in systems.values())
    assert "structured 50% int8" in capsys.readouterr().out
