"""The runs of a sweep on Ray: each a task, whose worker may die and is then replaced.

All machines need lxcompress, and the sweep's folder and data under the same path.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.sweep.local_processes import Done
from benchmarks.sweep.plan import Task
from benchmarks.sweep.worker import execute
from lxcompress.errors import ConfigError

LOCAL = "local"
_RETRIES = 3  # of a task whose worker dies; it continues from its checkpoint
_SECONDS_TO_ANSWER = 5.0
_SECONDS_TO_STOP = 30.0


def check_ray(address: str) -> None:
    """ConfigError when Ray is not installed, or nothing answers at HOST:PORT."""
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            "--ray: Ray is not installed; `pip install 'lxcompress[ray]'` brings it"
        ) from None
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(
            f"--ray {address}: give local, auto or HOST:PORT, a Ray cluster's address"
        )
    try:
        # Ray itself would try for minutes.
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as problem:
        raise ConfigError(
            f"--ray {address}: nothing answers there ({problem.strerror or problem}); "
            "`ray start --head` starts a cluster, `--ray local` needs none"
        ) from None


def run_on_ray(
    tasks: Sequence[Task], address: str, *, threads: int, gpus: float, cpus: int | None = None
) -> Iterator[Done]:
    """Do the tasks on the cluster at `address`; each as it is finished, with why it failed or None.

    Each takes `threads` CPUs and `gpus` GPUs (a part of one, where several share it); "local" is a
    cluster of this machine that offers `cpus`. A cell is started when its dense model is there,
    where that is among the tasks. Raises ConfigError when no machine of the cluster has as much as
    a task needs.
    """
    import ray

    with _cluster(address, cpus):
        _check_room(address, threads, gpus)
        work = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_work)
        dense: dict[Any, Any] = {}
        running: dict[Any, Task] = {}
        for task in tasks:
            reference = work.remote(task, dense.get(task.dense))
            running[reference] = task
            if task.dense is None:
                dense[task.folder] = reference
        try:
            while running:
                (reference,), _ = ray.wait(list(running), num_returns=1)
                task = running.pop(reference)
                try:
                    failure = ray.get(reference)
                except ray.exceptions.RayError as problem:
                    failure = _in_words(problem)
                yield task, failure
        except BaseException:
            for reference in running:
                ray.cancel(reference)  # as Ctrl-C does: a checkpoint, then the end
            ray.wait(list(running), num_returns=len(running), timeout=_SECONDS_TO_STOP)
            raise


def _in_words(problem: Exception) -> str:
    """What happened, of the many lines that Ray tells."""
    cause = getattr(problem, "cause", None)
    if isinstance(cause, Exception):  # what the task itself raised, e.g. for want of lxcompress
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    return str(problem).strip().splitlines()[0]


def _check_room(address: str, threads: int, gpus: float) -> None:
    """Ray would wait for a machine that is large enough, without end."""
    import ray

    for node in ray.nodes():
        has = node["Resources"]
        if node["Alive"] and has.get("CPU", 0) >= threads and has.get("GPU", 0) >= gpus:
            return
    needed = f"{threads} CPUs" + (" and a GPU" if gpus else "")
    raise ConfigError(
        f"--ray {address}: no machine there has {needed}; use fewer --threads, or --device cpu"
    )


def _work(task: Task, dense: str | None) -> str | None:
    """`dense` is why the dense model could not be had, where it could not."""
    if dense is not None:
        return f"its dense model failed: {dense}"
    return execute(task)


@contextmanager
def _cluster(address: str, cpus: int | None) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call home
    import ray

    # What Ray opens on this machine takes orders from anyone who reaches it.
    local = {"num_cpus": cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **(local if address == LOCAL else {}),
        )
    except (ConnectionError, RuntimeError, ValueError) as problem:
        raise ConfigError(f"--ray {address}: {' '.join(str(problem).split())}") from None
    try:
        yield
    finally:
        ray.shutdown()
