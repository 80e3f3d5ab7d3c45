"""The benchmark of busy machines measures each workload, and finds different bits."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import busy_machine


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("busy") / "model.onnx"
    busy_machine.write_file(path, small=True)
    return path


@pytest.mark.parametrize("settings", busy_machine.SETTINGS)
@pytest.mark.parametrize("workload", ["large", "answer"])
def test_a_child_measures_a_workload(
    workload: str, settings: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    busy_machine.main(["--child", workload, settings, str(file), "--small"])
    found = json.loads(capsys.readouterr().out)
    assert found["per_second"] > 0
    assert bool(found["sha256"]) == (workload == "large")


def runs(hashes: list[str]) -> dict[str, Any]:
    idle, busy = ({"per_second": 2.0, "sha256": value} for value in hashes)
    by_load = {"idle": [idle], "busy": [busy]}
    return {w: dict.fromkeys(busy_machine.SETTINGS, by_load) for w in busy_machine.WORKLOADS}


def test_different_weights_are_found() -> None:
    assert busy_machine.same_bits(runs(["a", "a"]))
    assert not busy_machine.same_bits(runs(["a", "b"]))
