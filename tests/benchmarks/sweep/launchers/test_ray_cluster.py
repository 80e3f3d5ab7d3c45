"""A sweep on Ray with two workers, one of which is killed, equals one in a single process."""

import time
from pathlib import Path

import psutil
import pytest
from processes import COMMAND, Script
from sweep_command import Arguments, assert_same

pytest.importorskip("ray")


def worker_in(folder: Path, process: Script) -> psutil.Process:
    """Wait for a Ray worker that trains in `folder`, and return it."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                name = child.cmdline()[:1]
                if name and "ray::_run_task" in name[0] and any(folder.glob("cells/*/theta0")):
                    return child
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        time.sleep(0.005)
    raise AssertionError(process.output())


def test_two_ray_workers_one_killed_equal_one_process(
    sweep_arguments: Arguments, finished_sweep: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    process = Script(COMMAND, *sweep_arguments(folder, "--ray", "local", "--jobs", 2))
    worker_in(folder, process).kill()
    code, text = process.finish()
    assert code == 0, text
    assert_same(folder, finished_sweep)
