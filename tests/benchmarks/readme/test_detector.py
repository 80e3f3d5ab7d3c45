"""The benchmark of the detector runs on a tiny network and reports what it measures."""

from pathlib import Path

import pytest
from speed_records import check_seconds, read_report

from benchmarks.readme import detector
from benchmarks.readme.blocks import parts
from benchmarks.readme.fill_in import fill_in


def test_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))
    detector.main(["--small", "--rounds", "2", "--output", str(tmp_path / "detector.json")])
    measured = read_report(tmp_path / "detector.json")["measurements"]
    settings = measured["settings"]
    assert list(settings) == ["exact", "screened", "screened, ONNX Runtime"]
    for name, record in settings.items():
        check_seconds(record["total"], 2)
        assert record["regions"]["exact"] == 36 >= record["regions"]["matched"] > 18
        assert record["regions"]["largest_feature_difference"] < 1e-3
        assert set(record["parts"]) == (set() if "ONNX" in name else set(detector.PARTS))
    assert settings["exact"]["regions"]["matched"] == 36
    assert "times as fast as exact" in capsys.readouterr().out

    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    text = fill_in("<!-- measured: detector -->\n<!-- end -->\n")
    assert "| exact | " in text and "36 of 36" in text and "benchmarks.readme.detector" in text
