"""The number of runs at a time, and the GPUs that they use."""

from typing import Any

import pytest

from benchmarks.sweep.launchers import launcher
from benchmarks.sweep.launchers.launcher import Launcher, visible_gpus
from benchmarks.sweep.plan import Plan


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [(None, 2, ["0", "1"]), ("2,3", 2, ["2", "3"]), ("0,-1,1", 1, ["0"]), (None, 0, [])],
)
def test_visible_gpus_follow_cuda_visible_devices(
    visible: str | None, count: int, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher.torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == names


@pytest.mark.parametrize(
    ("device", "gpus", "jobs", "expected"),
    [
        ("cpu", 0, None, 8),
        ("cpu", 0, 3, 3),
        ("cuda", 2, None, 2),
        ("cuda", 2, 5, 5),
        ("mps", 0, None, 1),
    ],
)
def test_number_of_runs_at_a_time(
    device: str, gpus: int, jobs: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(index) for index in range(gpus)]
    monkeypatch.setattr(launcher, "visible_gpus", lambda: names)
    monkeypatch.setattr(launcher.os, "cpu_count", lambda: 8)
    calls: list[Any] = []
    monkeypatch.setattr(
        launcher, "run_in_processes", lambda tasks, jobs, gpus: calls.append((jobs, gpus))
    )
    plan = Plan.make({}, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1)
    Launcher(jobs).launch(plan.tasks() * 10, device)
    assert calls == [(expected, names)]
