"""One run of a sweep, as a worker process executes it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.sweep.plan import Task
from lxcompress.choices import Schedule
from lxcompress.data.dataset import open_dataset
from lxcompress.errors import Interrupted, LxcompressError, RunError
from lxcompress.lottery import Lottery
from lxcompress.pruning.schedule import pruning_levels
from lxcompress.run import Run, control_name
from lxcompress.steps.control import fine_tune_control
from lxcompress.steps.preflight import check_dataset
from lxcompress.system.files import write_json
from lxcompress.system.links import share
from lxcompress.system.machine.threads import choose_threads

# The worker of a killed sweep may live on for a moment, perhaps on another machine.
_LOCK_TIMEOUT_SECONDS = 60.0


class Outcome(NamedTuple):
    """A task that has ended, and why it failed (None if it succeeded)."""

    task: Task
    failure: str | None


def execute(task: Task) -> str | None:
    """Execute or continue a run; return None, or in one line why it failed.

    Progress and tracebacks go to `task.log`.

    Raises:
        Interrupted: The run was stopped, and its checkpoint saved.
    """
    choose_threads(task.threads)
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with open(task.log, "a", encoding="utf-8") as log, redirect_stderr(log):
        try:
            _execute(task)
        except Interrupted:
            raise
        except LxcompressError as problem:
            traceback.print_exc()
            return " ".join(str(problem).split())
        except Exception as problem:  # a bug or lack of memory in one cell must not stop the others
            traceback.print_exc()
            return f"{type(problem).__name__}: {problem} (see {task.log})".replace("\n", " ")
    return None


def _execute(task: Task) -> None:
    run = Run(task.folder)
    lottery = Lottery(run, task.config, open_dataset(task.config.data))
    with run.claim(task.config.dump(), patience=_LOCK_TIMEOUT_SECONDS):
        if task.dense is None:
            check_dataset(run, lottery.dataset)
            lottery.find_dense()
            for rounds in task.controls:
                fine_tune_control(
                    lottery.trainer, task.config.epochs, [task.config.epochs] * (1 + rounds)
                )
            return
        if not run.is_finished():
            link_dense_run(Run(task.dense), run, task.controls)
            reuse_accuracies(task, run)
        lottery.find_ticket()


def link_dense_run(dense: Run, run: Run, controls: Sequence[int] = ()) -> None:
    """Link the artefacts of the dense run into `run`, θ0 last: a run with θ0 has begun.

    `controls` are the numbers of rounds after which its control was measured.
    """
    if run.theta0.exists():
        return
    sources, targets = (
        [*of.dense_artefacts(), *(path for rounds in controls for path in _of_control(of, rounds))]
        for of in (dense, run)
    )
    for source, target in reversed(list(zip(sources, targets, strict=True))):
        if source.exists() and not target.exists():
            share(source, target)


def _of_control(run: Run, rounds: int) -> list[Path]:
    """The figures of a control; its weights are not needed any more."""
    name = control_name(rounds)
    logs = [run.log(control_name(number)) for number in range(1, rounds + 1)]
    return [*logs, run.predictions(name), run.once_path(name)]


def reuse_accuracies(task: Task, run: Run) -> None:
    """Copy the accuracies after pruning that finished siblings have measured.

    Each step of 10% prunes the same weights, whatever the final sparsity is. The iterative schedule
    trains between the steps, so there nothing can be reused.
    """
    if task.config.schedule != Schedule.PAPER:
        return
    pattern = task.config.pattern
    levels = pruning_levels(task.config.target, pattern)
    for sibling in map(Run, task.siblings):
        with suppress(RunError):  # not finished
            result = sibling.read_result()
            measured = pruning_levels(result.config["sparsity"], pattern)
            for level, step in zip(measured, result.pruning_steps, strict=True):
                path = run.pruned_accuracy(level)
                if level in levels and not path.exists():
                    write_json(path, step.accuracy)
