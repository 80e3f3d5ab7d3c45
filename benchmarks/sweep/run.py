"""All of the paper's experiments by one command: `lxcompress sweep`.

Subnetworks × sparsities × seeds, from one θ0 and one dense model a seed. Each is a run of
`lxcompress prune` in a folder of its own; those that are finished are not run again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.sweep import report as sweep_report
from benchmarks.sweep.local_processes import Done, run_in_processes
from benchmarks.sweep.plan import Plan, Task
from benchmarks.sweep.ray_cluster import LOCAL, check_ray, run_on_ray
from benchmarks.sweep.schema import SCHEMA, Report
from benchmarks.sweep.significance import compare
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import ConfigError, DataError, Interrupted, RunError
from lxcompress.evaluation.scoring import Score, read_results, score_results
from lxcompress.run import Run, first_difference
from lxcompress.system.device import make_accelerator, resolve_device, resolve_precision
from lxcompress.system.files import locked, read_json, write_json
from lxcompress.system.progress import progress


@dataclass(frozen=True)
class Workers:
    """Where the runs are done: `jobs` at a time on this machine, or on the Ray cluster `ray`."""

    jobs: int | None = None  # None: as many as there are GPUs, or processors for their threads
    ray: str | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether on machines that this process knows nothing of."""
        return self.ray not in (None, LOCAL)

    def check(self, plan: Plan) -> None:
        """ConfigError for what cannot be, or for what nobody here can find out."""
        if self.ray is not None:
            check_ray(self.ray)
        if not self.elsewhere:
            return
        if self.jobs is not None:
            raise ConfigError("--jobs is for this machine; a Ray cluster takes as many as fit")
        device, precision = plan.shared["device"], plan.shared["precision"]
        if device not in ("cpu", "cuda") or (device == "cuda" and precision == "auto"):
            raise ConfigError(
                f"--ray {self.ray}: its machines are not known here; give --device cpu, or "
                "--device cuda with --precision bf16 or fp32"
            )

    def start(self, tasks: Sequence[Task], device: str) -> Iterator[Done]:
        """Do the tasks; each as it is finished."""
        threads = tasks[0].threads
        if self.ray is not None and self.elsewhere:
            gpus = 1.0 if device == "cuda" else 0.0
            return run_on_ray(tasks, self.ray, threads=threads, gpus=gpus)
        names = _gpus() if device == "cuda" else []
        # An Apple GPU is one; processors serve as many runs as they have threads for.
        usual = len(names) or (1 if device == "mps" else (os.cpu_count() or 1) // threads)
        jobs = min(self.jobs or max(1, usual), len(tasks))
        if self.ray is not None:
            share = min(1.0, len(names) / jobs)  # several runs may share a GPU
            return run_on_ray(tasks, self.ray, threads=threads, gpus=share, cpus=jobs * threads)
        return run_in_processes(tasks, jobs, names)


def sweep(plan: Plan, workers: Workers, *, command: str, beside: Path | None = None) -> Report:
    """Do what is left of the plan and write the report into its folder.

    `beside` is the folder of another sweep of the same data, to be shown beside this one. Raises
    RunError for a folder of other settings, and, once the report is written, when runs failed.
    """
    workers.check(plan)
    device, precision = plan.shared["device"], plan.shared["precision"]
    if not workers.elsewhere:
        device = resolve_device(device)
    if device == "cpu" or not workers.elsewhere:
        precision = resolve_precision(precision, device)
        make_accelerator(device, precision, plan.shared["tensorboard"])  # or say why not
    plan = plan.on(device, precision)
    dataset = open_dataset(plan.shared["data"])
    other = _beside(beside, dataset)
    with _claim(plan, dataset):
        began = time.monotonic()
        # Regions that a dataset lacks are made at first use: here, not by all processes at a time.
        _ = dataset.train, dataset.val
        tasks = plan.tasks()
        left = [task for task in tasks if not task.is_finished]
        failures = _work(plan, workers, tasks, left, device) if left else {}
        report = _report(
            plan,
            dataset,
            failures,
            {
                "command": command,
                "beside": other,
                "cells_run": sum(
                    task.dense is not None and task.name not in failures for task in left
                ),
                "wall_seconds": time.monotonic() - began,
            },
        )
        if not left and (plan.folder / sweep_report.REPORT).exists():
            # Nothing was run: how long it took is still what it took before.
            before = sweep_report.load(plan.folder)
            spent = {"cells_run": before.cells_run, "wall_seconds": before.wall_seconds}
            report = report.model_copy(update=spent)
        sweep_report.write(report, plan.folder)
    if failures:
        name, why = next(iter(failures.items()))
        raise RunError(
            f"{len(failures)} of {len(tasks)} runs failed, e.g. {name}: {why}; the report in "
            f"{plan.folder} lacks them, the same command tries them again"
        )
    return report


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()  # CUDA stops at the first name that it does not know
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]


def _beside(folder: Path | None, dataset: Dataset) -> Report | None:
    if folder is None:
        return None
    report = sweep_report.load(folder)
    if report.dataset["fingerprint"] != dataset.fingerprint:
        raise DataError(
            f"--beside {folder} is a sweep of other data ({report.dataset['name']}, or another "
            f"state of it) than {dataset.folder}; only figures of the same questions compare"
        )
    # What it had beside itself is not asked for here.
    return report.model_copy(update={"beside": None})


@contextmanager
def _claim(plan: Plan, dataset: Dataset) -> Iterator[None]:
    """Own the folder; RunError when it holds a sweep of other settings or data, or no sweep."""
    settings = {**plan.settings(), "fingerprint": dataset.fingerprint}
    folder, file = plan.folder, plan.folder / "sweep.json"
    if folder.exists() and not folder.is_dir():
        raise RunError(f"--output {folder} is a file")
    if file.exists():
        found = read_json(file, "sweep's settings", RunError)
        if found.get("data") == settings["data"] and found["fingerprint"] != dataset.fingerprint:
            raise RunError(
                f"the files of {dataset.folder} have changed since the sweep in {folder} began; "
                "choose another --output"
            )
        difference = first_difference(found, settings)
        if difference:
            raise RunError(
                f"{folder} holds a sweep of other settings ({difference}); choose another --output"
            )
    # Hidden are the lock and what a killed process left half-written.
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RunError(f"{folder} has files in it but is no sweep; choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", f"another process is working in {folder}"):
        write_json(file, settings)
        yield


def _work(
    plan: Plan, workers: Workers, tasks: Sequence[Task], left: Sequence[Task], device: str
) -> dict[str, str]:
    """Do what is left; why runs failed, by name."""
    failures = {}
    done = len(tasks) - len(left)
    try:
        with progress("Runs of the sweep", len(tasks), "runs", start=done) as meter:
            for task, failure in workers.start(left, device):
                if failure is not None:
                    failures[task.name] = failure
                meter.advance(note=f"{task.name}{' failed' if failure else ''}")
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            f"stopped; {plan.folder} keeps what is done; the same command again continues"
        ) from None
    return failures


def _report(plan: Plan, dataset: Dataset, failures: dict[str, str], more: dict[str, Any]) -> Report:
    """All that the finished runs say; RunError when none is finished."""
    grade = partial(_grade, dataset=dataset)
    results = {
        (subnetwork, sparsity, seed): read_json(run.result, "result", RunError)
        for subnetwork in plan.subnetworks
        for sparsity in plan.sparsities
        for seed in plan.seeds
        if (run := Run(plan.cell(subnetwork, sparsity, seed))).result.exists()
    }
    if not results:
        name, why = next(iter(failures.items()))
        raise RunError(f"every run of the sweep failed, e.g. {name}: {why}")
    assert dataset.val  # or no run could have finished
    seeds = [seed for seed in plan.seeds if any(key[2] == seed for key in results)]
    dense = {seed: grade(Run(plan.dense(seed)).predictions("dense")) for seed in seeds}
    tickets = {key: grade(Run(plan.cell(*key)).predictions("ticket")) for key in results}
    return Report.model_validate(
        {
            "schema": SCHEMA,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "unit": "percent of the validation questions",
            "metric": next(iter(dense.values())).metric,
            "dataset": dataset.describe(),
            "questions": len(dataset.val.questions),
            "settings": {
                **plan.settings(),
                "subnetworks": plan.subnetworks,
                "sparsities": plan.sparsities,
                "seeds": plan.seeds,
            },
            "dense": [
                {"seed": seed, "accuracy": score.accuracy()} for seed, score in dense.items()
            ],
            "cells": [_cell(key, result) for key, result in results.items()],
            "against_dense": compare(
                {seed: _points(score) for seed, score in dense.items()},
                {key: _points(score) for key, score in tickets.items()},
                [question.image_id for question in dataset.val.questions],
            ),
            # That of the runs, which may have been on another machine.
            "environment": next(iter(results.values()))["environment"],
            "failures": [{"cell": name, "message": why} for name, why in failures.items()],
            **more,
        }
    )


def _grade(predictions: Path, dataset: Dataset) -> Score:
    assert dataset.val
    return score_results(read_results(predictions), dataset.val.questions)


def _points(score: Score) -> list[float]:
    return list(score.per_question.values())  # in the order of the questions


def _cell(key: tuple[str, float, int], result: dict[str, Any]) -> dict[str, Any]:
    subnetwork, sparsity, seed = key
    return {
        "seed": seed,
        "subnetwork": subnetwork,
        "sparsity": sparsity,
        "reset": result["theta0_masked"]["accuracy"],
        "pruned": result["pruning_steps"][-1]["accuracy"],
        "retrained": result["ticket"]["accuracy"],
        "zeros": {"asked": sparsity, **result["ticket"]["sparsity"]},
    }
