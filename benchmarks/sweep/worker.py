"""One run of a sweep, as a worker process does it."""

from __future__ import annotations

import os
import shutil
import traceback
from contextlib import redirect_stderr, suppress
from pathlib import Path

import torch

from benchmarks.sweep.plan import Task
from lxcompress.data.dataset import open_dataset
from lxcompress.errors import Interrupted, LxcompressError, RunError
from lxcompress.lottery import Lottery
from lxcompress.pruning.schedule import pruning_levels
from lxcompress.run import Run
from lxcompress.system.files import atomic_path, read_json, write_json

# The worker of a sweep that was killed may live on for a moment, on another machine even.
_SECONDS_TO_DIE = 60.0

# What a cell needs of its seed's dense run: steps 1 and 2 with their figures.
_LENT = (
    "theta0",
    "dense",
    "predictions/dense.json",
    "logs/dense.jsonl",
    "work/late",
    "work/dense.json",
    "work/metric.json",
    "work/dataset.json",
)


def execute(task: Task) -> str | None:
    """Do one run, or continue it; why it failed, in one line, or None.

    What it tells on its way goes to `task.log`. Raises Interrupted.
    """
    torch.set_num_threads(task.threads)
    task.log.parent.mkdir(parents=True, exist_ok=True)
    with open(task.log, "a", encoding="utf-8") as log, redirect_stderr(log):
        try:
            _do(task)
        except Interrupted:
            raise
        except LxcompressError as problem:
            traceback.print_exc()
            return " ".join(str(problem).split())
        except Exception as problem:  # one cell's bug or full memory must not end the others
            traceback.print_exc()
            return f"{type(problem).__name__}: {problem} (see {task.log})".replace("\n", " ")
    return None


def _do(task: Task) -> None:
    run = Run(task.folder)
    lottery = Lottery(run, task.config, open_dataset(task.config.data))
    with run.claim(task.config.dump(), patience=_SECONDS_TO_DIE):
        if task.dense is None:
            lottery.check_dataset()
            lottery.find_dense()
            return
        if not run.result.exists():
            _lend(Run(task.dense), run)
            _lend_accuracies(task, run)
        lottery.find_ticket()


def _lend(dense: Run, run: Run) -> None:
    """Put the dense run's files in their places in `run`, θ0 last: with it a run begins."""
    if run.theta0.exists():
        return
    for name in reversed(_LENT):
        source, target = dense.folder / name, run.folder / name
        if source.exists() and not target.exists():
            with atomic_path(target) as temporary:
                if source.is_dir():
                    shutil.copytree(source, temporary, copy_function=_link)
                else:
                    _link(source, temporary)


def _link(source: str | Path, target: str | Path) -> None:
    """One copy on the disk for all cells: files are only ever replaced, never written into."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _lend_accuracies(task: Task, run: Run) -> None:
    """What a finished sibling measured on the same way to a higher or lower sparsity.

    Each step of 10% removes the same weights, whatever the run's last step is; but an iterative
    schedule trains in between, and keeps its rounds to itself.
    """
    if task.config.schedule != "paper":
        return
    levels = pruning_levels(task.config.sparsity)
    for sibling in map(Run, task.siblings):
        with suppress(RunError):  # not finished
            result = read_json(sibling.result, "result", RunError)
            reached = pruning_levels(result["config"]["sparsity"])
            for level, step in zip(reached, result["pruning_steps"], strict=True):
                path = run.once_path(f"pruned-{level}")
                if level in levels and not path.exists():
                    write_json(path, step["accuracy"])
