"""The runs of a sweep in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.queues import Queue

from benchmarks.sweep_cell import execute
from benchmarks.sweep_plan import Task
from lxcompress.errors import Interrupted, RunError

Done = tuple[Task, str | None]

# A worker that is killed (out of memory, mostly) is replaced, but not for ever.
_DEATHS_IN_A_ROW = 3


def run_in_processes(tasks: Sequence[Task], jobs: int, gpus: Sequence[str] = ()) -> Iterator[Done]:
    """Do the tasks, `jobs` at a time; each as it is finished, with why it failed or None.

    A cell waits for its dense model where that is among the tasks, and fails with it. Process
    number i sees the GPU i of `gpus`, round and round. A process that dies is replaced, and what
    it was at goes on from its checkpoint. Raises RunError when that does not help.
    """
    left = list(tasks)
    deaths = 0
    while left:
        try:
            for task, failure in _run(left, jobs, gpus):
                deaths = 0
                left.remove(task)
                yield task, failure
        except BrokenProcessPool:
            deaths += 1
            if deaths == _DEATHS_IN_A_ROW:
                raise RunError(
                    f"a process of the sweep was killed {deaths} times in a row (out of memory?); "
                    "use fewer --jobs; the same command continues"
                ) from None


def _run(tasks: Sequence[Task], jobs: int, gpus: Sequence[str]) -> Iterator[Done]:
    # Forking would copy a process whose threads hold locks.
    context = multiprocessing.get_context("spawn")
    places: Queue[str] = context.Queue()
    for index in range(jobs):
        places.put(gpus[index % len(gpus)] if gpus else "")
    pool = ProcessPoolExecutor(jobs, context, _prepare, (places,))
    folders = {task.folder for task in tasks}
    waiting = [task for task in tasks if task.dense in folders]
    running: dict[Future[str | None], Task] = {}

    def start(task: Task) -> None:
        running[pool.submit(_work, task)] = task

    try:
        for task in tasks:
            if task not in waiting:
                start(task)
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                task, failure = running.pop(future), future.result()
                yield task, failure
                for cell in [cell for cell in waiting if cell.dense == task.folder]:
                    waiting.remove(cell)
                    if failure is None:
                        start(cell)
                    else:
                        yield cell, f"{task.name} failed: {failure}"
    except BaseException:
        # They do not hear of Ctrl-C themselves; each saves a checkpoint and ends.
        for child in multiprocessing.active_children():
            if child.pid is not None:
                with suppress(ProcessLookupError):  # dead already, which may be why we are here
                    os.kill(child.pid, signal.SIGINT)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        places.close()


def _prepare(places: Queue[str]) -> None:
    """Begin a worker process: its GPU, and what becomes of it when the sweep is stopped."""
    gpu = places.get()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # In a group of its own it gets Ctrl-C from the sweep alone, once; idle, it need not listen.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_the_sweep, daemon=True).start()


def _work(task: Task) -> str | None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return execute(task)
    except KeyboardInterrupt:
        raise Interrupted(f"{task.name} was stopped") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _die_with_the_sweep() -> None:
    """A sweep that is killed leaves nothing running that would hold its folders."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
