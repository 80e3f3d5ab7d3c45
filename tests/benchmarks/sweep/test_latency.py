"""The tickets of a sweep are exported and measured, and shown as accuracy over latency."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_command import plan_like

from benchmarks.bench.run import Settings
from benchmarks.measure import loading
from benchmarks.sweep.latency import check_latency, measure_latency
from lxcompress.errors import ConfigError


def test_winning_tickets_of_the_first_seed_are_measured(
    finished_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_in_child", loading.load)
    folder = Path(shutil.copytree(finished_sweep, tmp_path / "sweep"))
    plan = replace(plan_like(folder, folder), sparsities=(0.2,))
    check_latency(plan)
    found = measure_latency(plan, "", Settings(batch_sizes=(1,), runs=2, seconds=0, loads=1))
    assert {point.run for point in found.points} == {"low-20-seed0"}
    assert {point.pattern for point in found.points} == {"dense", "unstructured"}
    saved = json.loads((folder / "frontier.json").read_text())
    assert len(saved["points"]) == len(found.points) == 6
    assert not (folder / "cells" / "random-20-seed0" / "bench").exists()


def test_sweeps_without_sparse_tickets_are_rejected(finished_sweep: Path) -> None:
    plan = plan_like(finished_sweep, finished_sweep)
    with pytest.raises(ConfigError, match="low subnetworks; the sweep has none"):
        check_latency(replace(plan, subnetworks=("random",)))
    with pytest.raises(ConfigError, match="--no-enforce-mask leaves none"):
        check_latency(replace(plan, shared={**plan.shared, "enforce-mask": False}))
