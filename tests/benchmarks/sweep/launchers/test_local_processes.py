"""Runs of a sweep in several processes, some of which are killed or fail."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from processes import assert_same_file
from sweep_command import CELLS, plan_like

from benchmarks.sweep.launchers import local_processes
from benchmarks.sweep.launchers.local_processes import WorkerSlot, run_in_processes
from benchmarks.sweep.plan import Task
from lxcompress.config import PruneConfig


def _killed_at_low_20(task: Task) -> str | None:
    """Stands for a run that needs more memory than there is, among others that do not."""
    if task.name == "low-20-seed0":
        os.kill(os.getpid(), signal.SIGKILL)
    return None


def test_a_run_that_is_always_killed_does_not_stop_the_others(
    finished_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_processes, "_run_task", _killed_at_low_20)
    tasks = [task for task in plan_like(finished_sweep, tmp_path / "sweep").tasks() if task.dense]
    failures = {task.name: failure for task, failure in run_in_processes(tasks, 2)}
    assert failures.keys() == CELLS
    assert "its process was killed 3 times (out of memory?)" in (failures.pop("low-20-seed0") or "")
    assert set(failures.values()) == {None}


def test_a_killed_worker_is_replaced_while_the_other_continues(
    finished_sweep: Path, tmp_path: Path
) -> None:
    plan = plan_like(finished_sweep, tmp_path / "sweep")
    outcomes = []
    for task, failure in run_in_processes(plan.tasks(), 2):
        outcomes.append((task.name, failure))
        if task.dense is None:
            multiprocessing.active_children()[0].kill()
    assert sorted(outcomes) == [(name, None) for name in sorted(CELLS | {"dense-seed0"})]
    for cell in CELLS:
        ticket = f"cells/{cell}/ticket/model.safetensors"
        assert_same_file(tmp_path / "sweep" / ticket, finished_sweep / ticket)


def _process_id(task: Task) -> str:
    return str(os.getpid())


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_killed_while_idle_is_replaced(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does it when other processes need the memory."""
    monkeypatch.setattr(local_processes, "_run_task", _process_id)
    context = multiprocessing.get_context(method)
    slot = WorkerSlot(context, "", context.Event())
    task = Task(tmp_path, PruneConfig.parse({}), threads=1)
    try:
        first = int(slot.start(task).result() or "")
        os.kill(first, signal.SIGKILL)
        while not slot.pool._broken:  # the pool notices it in a thread of its own
            time.sleep(0.01)
        assert int(slot.start(task).result() or "") != first
    finally:
        slot.pool.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_workers_are_forked_where_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_processes._start_method(()) == "forkserver"
    assert local_processes._start_method(("0",)) == "spawn"
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/" + "a" * 80)
    assert local_processes._start_method(()) == "spawn"


def test_cells_fail_with_their_dense_model(finished_sweep: Path, tmp_path: Path) -> None:
    plan = plan_like(finished_sweep, tmp_path / "sweep")
    plan.dense(0).mkdir(parents=True)
    (plan.dense(0) / "holiday.txt").write_text("not a run")
    failures = {task.name: failure for task, failure in run_in_processes(plan.tasks(), 1)}
    assert failures.keys() == {"dense-seed0", *CELLS}
    assert "is not a run directory" in (failures["dense-seed0"] or "")
    for cell in CELLS:
        assert failures[cell] == f"dense-seed0 failed: {failures['dense-seed0']}"
