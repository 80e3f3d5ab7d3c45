"""The benchmark of a training step runs on a tiny model and reports what it measures."""

from pathlib import Path

import pytest
from speed_records import check_seconds, read_report

from benchmarks.readme import training_step


def test_report_of_the_training_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_step.main(["--small", "--output", str(tmp_path / "report.json")])
    measured = read_report(tmp_path / "report.json")["measurements"]
    for arm in ("lxcompress", "stock"):
        assert measured[arm].keys() == {"step", "forward", "backward", "clip", "optimizer"}
        check_seconds(measured[arm]["step"], 6)
    assert max(measured["tokens"]["lxcompress"]) <= 20
    assert "benchmarks.readme.training_step" in capsys.readouterr().out
