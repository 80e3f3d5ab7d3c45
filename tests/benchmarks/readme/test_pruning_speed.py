"""The benchmark of pruning runs on a tiny model and reports what it measures."""

from pathlib import Path

import pytest
from speed_records import check_seconds, read_report

from benchmarks.readme import pruning_speed


def test_report_of_pruning_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruning_speed.main(["--small", "--output", str(tmp_path / "report.json")])
    found = read_report(tmp_path / "report.json")
    assert found["command"] == "python -m benchmarks.readme.pruning_speed --small"
    measured = found["measurements"]
    threshold = measured["threshold"]
    check_seconds(threshold["lxcompress"]["seconds"], 3)
    check_seconds(threshold["torch"]["seconds"], 1)
    assert threshold["times_faster"] > 0
    assert threshold["pruned"] == round(0.5 * threshold["prunable"])
    assert threshold["weights_chosen_differently"] < 10
    assert threshold["torch"]["peak_bytes_above_model"]["unit"] == "bytes"
    assert measured["subnetworks"].keys() == {"low", "high", "random"}
    assert measured["training_step"]["seconds"].keys() == {
        *("step", "forward", "backward", "mask", "clip", "optimizer")
    }
    assert 0 < measured["training_step"]["mask_share"] < 1
    assert measured["ticket"]["pruned"] == threshold["pruned"]
    assert {"model.safetensors", "mask.safetensors"} <= measured["ticket"]["file_bytes"].keys()
    assert "benchmarks.readme.pruning_speed" in capsys.readouterr().out
