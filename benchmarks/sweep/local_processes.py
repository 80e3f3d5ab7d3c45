"""The runs of a sweep in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.sweep.plan import Task
from benchmarks.sweep.worker import execute
from lxcompress.errors import Interrupted

Done = tuple[Task, str | None]

# A process that is killed (out of memory, mostly) is replaced, but not for ever.
_DEATHS = 3

_stopping: Event  # in a worker process: whether the sweep is to end


def run_in_processes(tasks: Sequence[Task], jobs: int, gpus: Sequence[str] = ()) -> Iterator[Done]:
    """Do the tasks, `jobs` at a time; each as it is finished, with why it failed or None.

    A cell waits for its dense model where that is among the tasks, and fails with it. Process
    number i sees the GPU i of `gpus`, round and round. A process that dies is replaced, and what
    it was at goes on from its checkpoint, twice at most.
    """
    stop = multiprocessing.get_context("spawn").Event()
    places = [_Place(gpus[index % len(gpus)] if gpus else "", stop) for index in range(jobs)]
    dense = {task.folder for task in tasks if task.dense is None}
    ready = deque(task for task in tasks if task.dense not in dense)
    waiting = [task for task in tasks if task.dense in dense]
    running: dict[Future[str | None], tuple[Task, _Place]] = {}
    deaths: Counter[Path] = Counter()
    try:
        while ready or running:
            while ready and places:
                task, place = ready.popleft(), places.pop()
                running[place.start(task)] = task, place
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, place = running.pop(future)
                places.append(place)
                try:
                    failure = future.result()
                except BrokenProcessPool:
                    place.renew()
                    deaths[task.folder] += 1
                    if deaths[task.folder] < _DEATHS:
                        ready.appendleft(task)
                        continue
                    failure = (
                        f"its process was killed {_DEATHS} times (out of memory?); use fewer --jobs"
                    )
                yield task, failure
                for cell in [cell for cell in waiting if cell.dense == task.folder]:
                    waiting.remove(cell)
                    if failure is None:
                        ready.append(cell)
                    else:
                        yield cell, f"{task.name} failed: {failure}"
    except BaseException:
        # They do not hear of Ctrl-C themselves; each saves a checkpoint and ends.
        stop.set()
        for child in multiprocessing.active_children():
            if child.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGINT)
        raise
    finally:
        for place in [*places, *(place for _, place in running.values())]:
            place.pool.shutdown(cancel_futures=True)


class _Place:
    """One process, which does one task at a time: so a death is of that task alone."""

    def __init__(self, gpu: str, stop: Event) -> None:
        self._gpu, self._stop = gpu, stop
        self._used = False
        self.pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        # Forking would copy a process whose threads hold locks.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _prepare, (self._gpu, self._stop))

    def renew(self) -> None:
        """A new process in place of this one."""
        self.pool.shutdown()
        self.pool = self._new()

    def start(self, task: Task) -> Future[str | None]:
        """Begin a task, in a new process on a GPU: an error of CUDA spoils all that come after."""
        if self._gpu and self._used:
            self.renew()
        self._used = True
        # A process that is just being made would answer Ctrl-C with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self.pool.submit(_work, task)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(gpu: str, stop: Event) -> None:
    """Begin a worker process: its GPU, and what becomes of it when the sweep is stopped."""
    global _stopping
    _stopping = stop
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # In a group of its own it gets Ctrl-C from the sweep alone, once; idle, it need not listen.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_the_sweep, daemon=True).start()


def _work(task: Task) -> str | None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _stopping.is_set():  # while this process was loading
            raise KeyboardInterrupt
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
