"""The sweep on Ray: two workers, one of them killed, find what one process found."""

import subprocess
import time
from pathlib import Path

import psutil
import pytest
from processes import finish
from sweeps import Arguments, assert_same, start

pytest.importorskip("ray")


def worker_in(folder: Path, process: subprocess.Popen[str]) -> psutil.Process:
    """A Ray process that is training in `folder`, once there is one."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                name = child.cmdline()[:1]
                if name and "ray::_work" in name[0] and any(folder.glob("cells/*/theta0")):
                    return child
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        time.sleep(0.005)
    raise AssertionError(process.communicate()[0])


def test_two_ray_workers_one_killed_equal_one_process(
    sweep_arguments: Arguments, swept: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    process = start(sweep_arguments(folder, "--ray", "local", "--jobs", 2))
    worker_in(folder, process).kill()
    code, text = finish(process)
    assert code == 0, text
    assert_same(folder, swept)
