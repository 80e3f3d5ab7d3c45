"""Execute the runs of a sweep on a Ray cluster.

Every machine of the cluster needs lxcompress, and the sweep's folder and the data under the same
path. A worker that dies is replaced and continues from the task's checkpoint.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.sweep.launchers.worker import Outcome, execute
from benchmarks.sweep.plan import Task
from lxcompress.errors import ConfigError

LOCAL = "local"
_RETRIES = 3  # of a task whose worker died
_CONNECT_TIMEOUT_SECONDS = 5.0
_STOP_TIMEOUT_SECONDS = 30.0


def check_ray(address: str) -> None:
    """Check `address`: "local", "auto" or HOST:PORT.

    Raises:
        ConfigError: Ray is not installed, the address is malformed, or nothing listens there.
    """
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            "--ray: Ray is not installed; `pip install 'lxcompress[ray]'` installs it"
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
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_SECONDS).close()
    except OSError as problem:
        raise ConfigError(
            f"--ray {address}: nothing answers there ({problem.strerror or problem}); "
            "`ray start --head` starts a cluster, `--ray local` needs none"
        ) from None


def run_on_ray(
    tasks: Sequence[Task], address: str, *, threads: int, gpus: float, cpus: int | None = None
) -> Iterator[Outcome]:
    """Execute the tasks on the cluster at `address`; yield the outcome of each as it finishes.

    A cell starts after its dense model, if that is among the tasks, and fails with it.

    Args:
        threads: CPUs for each task.
        gpus: GPUs for each task; a fraction where several tasks share one.
        cpus: CPUs of the cluster that "local" starts on this machine.

    Raises:
        ConfigError: The cluster cannot be reached, or none of its machines is large enough.
    """
    import ray

    with _cluster(address, cpus):
        _check_resources(address, threads, gpus)
        remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_run_task)
        dense: dict[Any, Any] = {}
        running: dict[Any, Task] = {}
        for task in tasks:
            reference = remote.remote(task, dense.get(task.dense))
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
                    failure = _error_message(problem)
                yield Outcome(task, failure)
        except BaseException:
            for reference in running:
                ray.cancel(reference)  # acts as Ctrl-C: the task saves a checkpoint and ends
            ray.wait(list(running), num_returns=len(running), timeout=_STOP_TIMEOUT_SECONDS)
            raise


def _error_message(problem: Exception) -> str:
    """The first line of what went wrong; Ray's own messages have many."""
    cause = getattr(problem, "cause", None)
    if isinstance(cause, Exception):  # raised by the task, e.g. because lxcompress is missing
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    return str(problem).strip().splitlines()[0]


def _check_resources(address: str, threads: int, gpus: float) -> None:
    """ConfigError when no machine is large enough for a task: Ray would wait for one forever."""
    import ray

    for node in ray.nodes():
        has = node["Resources"]
        if node["Alive"] and has.get("CPU", 0) >= threads and has.get("GPU", 0) >= gpus:
            return
    needed = f"{threads} CPUs" + (" and a GPU" if gpus else "")
    raise ConfigError(
        f"--ray {address}: no machine there has {needed}; use fewer --threads, or --device cpu"
    )


def _run_task(task: Task, dense_failure: str | None) -> str | None:
    """Execute a task in a Ray worker; `dense_failure` is why its dense model failed, if it did."""
    if dense_failure is not None:
        return f"its dense model failed: {dense_failure}"
    return execute(task)


@contextmanager
def _cluster(address: str, cpus: int | None) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    import ray

    # Ray's ports accept commands from anyone who can reach them: bind them to this machine.
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
