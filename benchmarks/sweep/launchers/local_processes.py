"""Execute the runs of a sweep in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.sweep.launchers.worker import Outcome, execute
from benchmarks.sweep.plan import Task
from lxcompress.errors import Interrupted
from lxcompress.system.child_process import safe_path

# A task whose process is killed (mostly for lack of memory) is tried this often in all.
_MAX_ATTEMPTS = 3
_LONGEST_TMPDIR = 70  # bytes; the path of a fork server's socket lies in it and may have 107

_STOPPING_SIGNALS = {signal.SIGINT, signal.SIGTERM}

_stopping: Event  # set in a worker process: the sweep is being stopped


def run_in_processes(
    tasks: Sequence[Task], jobs: int, gpus: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Execute the tasks, `jobs` at a time; yield the outcome of each as it finishes.

    A cell starts after its dense model, if that is among the tasks, and fails with it. The
    processes use the GPUs in `gpus` in rotation. A process that is killed is replaced, and its
    task continues from the checkpoint, up to `_MAX_ATTEMPTS` times.
    """
    context = multiprocessing.get_context(_start_method(gpus))
    context.set_forkserver_preload([execute.__module__])  # takes seconds; done once for all workers
    with safe_path():
        stop = context.Event()  # starts its resource tracker
    slots = (gpus[index % len(gpus)] if gpus else "" for index in range(jobs))
    idle = [WorkerSlot(context, gpu, stop) for gpu in slots]
    dense = {task.folder for task in tasks if task.dense is None}
    ready = deque(task for task in tasks if task.dense not in dense)
    waiting = [task for task in tasks if task.dense in dense]
    running: dict[Future[str | None], tuple[Task, WorkerSlot]] = {}
    attempts: Counter[Path] = Counter()
    try:
        while ready or running:
            while ready and idle:
                task, slot = ready.popleft(), idle.pop()
                running[slot.start(task)] = task, slot
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, slot = running.pop(future)
                idle.append(slot)
                try:
                    failure = future.result()
                except BrokenProcessPool:
                    slot.restart()
                    attempts[task.folder] += 1
                    if attempts[task.folder] < _MAX_ATTEMPTS:
                        ready.appendleft(task)
                        continue
                    failure = (
                        f"its process was killed {_MAX_ATTEMPTS} times (out of memory?); "
                        "use fewer --jobs"
                    )
                yield Outcome(task, failure)
                for cell in [cell for cell in waiting if cell.dense == task.folder]:
                    waiting.remove(cell)
                    if failure is None:
                        ready.append(cell)
                    else:
                        yield Outcome(cell, f"{task.name} failed: {failure}")
    except BaseException:
        # Ctrl-C does not reach the workers by itself. Each saves a checkpoint and ends.
        stop.set()
        for child in multiprocessing.active_children():
            if child.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGINT)
        raise
    finally:
        for slot in [*idle, *(slot for _, slot in running.values())]:
            slot.pool.shutdown(cancel_futures=True)


def _start_method(gpus: Sequence[str]) -> str:
    """Fork workers from a process that has imported the libraries, where libraries allow it.

    This process is not forked: its threads may hold locks. CUDA does not work in a process whose
    parent has looked for it. On other systems than Linux, libraries do not survive a fork.
    """
    is_short = len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_TMPDIR
    return "forkserver" if sys.platform == "linux" and not gpus and is_short else "spawn"


class WorkerSlot:
    """One worker process and the GPU it uses, replaced when it dies.

    Each slot has a pool of its own, because a dead process breaks all tasks of its pool.
    """

    def __init__(self, context: BaseContext, gpu: str, stop: Event) -> None:
        self._context, self._gpu, self._stop = context, gpu, stop
        self._used = False
        self.pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, _initialize, (self._gpu, self._stop))

    def restart(self) -> None:
        """Replace the worker process by a new one."""
        self.pool.shutdown()
        self.pool = self._new_pool()

    def start(self, task: Task) -> Future[str | None]:
        """Start a task, on a GPU in a new process, since a CUDA error outlives its task.

        A worker process that was killed while it had no task is replaced too.
        """
        if self._gpu and self._used:
            self.restart()
        self._used = True
        try:
            return self._submit(task)
        except BrokenProcessPool:
            self.restart()
            return self._submit(task)

    def _submit(self, task: Task) -> Future[str | None]:
        # A process that is just starting would answer Ctrl-C with a traceback. The process that
        # workers are forked from inherits this too: it must outlive signals to the whole group.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING_SIGNALS)
        try:
            with safe_path():
                return self.pool.submit(_run_task, task)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _initialize(gpu: str, stop: Event) -> None:
    """Prepare a worker process: its GPU, its signals, and its end with the sweep's process."""
    global _stopping
    _stopping = stop
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # In a process group of its own, the worker gets SIGINT from the sweep only, and once; while
    # idle it ignores it.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING_SIGNALS)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _run_task(task: Task) -> str | None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _stopping.is_set():  # SIGINT came while this process was starting
            raise KeyboardInterrupt
        return execute(task)
    except KeyboardInterrupt:
        raise Interrupted(f"{task.name} was stopped") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _exit_with_parent() -> None:
    """Exit when the sweep's process is killed, so that no folder stays locked."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
