"""Run a whole sweep: `lxcompress sweep`.

The runs are subnetworks × sparsities × seeds, from one θ0 and one dense model per seed. Each is a
run of `lxcompress prune` in a folder of its own, and finished runs are not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sweep import report as sweep_report
from benchmarks.sweep.collect import collect
from benchmarks.sweep.launchers.launcher import Launcher
from benchmarks.sweep.plan import Plan, Task
from benchmarks.sweep.schema import Report
from lxcompress.config import first_difference
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import DataError, Interrupted, RunError
from lxcompress.system.files import locked, read_json, write_json
from lxcompress.system.machine.device import make_accelerator, resolve_device, resolve_precision
from lxcompress.system.output_folder import check_writable
from lxcompress.system.progress import progress


def sweep(plan: Plan, launcher: Launcher, *, command: str, beside: Path | None = None) -> Report:
    """Execute the unfinished runs of the plan and write the report into its folder.

    Args:
        command: The command line, for the report.
        beside: The folder of another sweep on the same data, to compare with in the report.

    Raises:
        RunError: The folder holds something else or a sweep with other settings; or, after the
            report is written, some runs failed.
        ConfigError, DataError, DeviceError: The plan cannot be executed.
        Interrupted: Stopped by Ctrl-C; the same command continues.
    """
    launcher.check(plan)
    check_writable("--output", plan.folder)
    plan = _resolve_device(plan, launcher)
    dataset = open_dataset(plan.shared["data"])
    other = _read_beside(beside, dataset)
    with _claim(plan, dataset):
        start = time.monotonic()
        dataset.prepare_regions("train", "val")  # here, not in every process of the sweep
        tasks = plan.tasks()
        unfinished = [task for task in tasks if not task.is_finished]
        failures = _execute(plan, launcher, tasks, unfinished) if unfinished else {}
        report = collect(
            plan,
            dataset,
            failures,
            command=command,
            beside=other,
            cells_run=sum(
                task.dense is not None and task.name not in failures for task in unfinished
            ),
            wall_seconds=time.monotonic() - start,
        )
        if not unfinished and (plan.folder / sweep_report.REPORT).exists():
            # Nothing was run: keep the duration of the invocation that ran the cells.
            previous = sweep_report.load(plan.folder)
            kept = {"cells_run": previous.cells_run, "wall_seconds": previous.wall_seconds}
            report = report.model_copy(update=kept)
        sweep_report.write(report, plan.folder)
    if failures:
        name, message = next(iter(failures.items()))
        raise RunError(
            f"{len(failures)} of {len(tasks)} runs failed, e.g. {name}: {message}; the report in "
            f"{plan.folder} lacks them, the same command tries them again"
        )
    return report


def _resolve_device(plan: Plan, launcher: Launcher) -> Plan:
    """Resolve "auto" and check the device, as far as this machine is the one that computes."""
    device, precision = plan.shared["device"], plan.shared["precision"]
    if not launcher.is_remote:
        device = resolve_device(device)
    if device == "cpu" or not launcher.is_remote:
        precision = resolve_precision(precision, device)
        make_accelerator(device, precision, plan.shared["tensorboard"])  # raises if unavailable
    return plan.on(device, precision)


def _read_beside(folder: Path | None, dataset: Dataset) -> Report | None:
    """Read the report of `--beside`; DataError when that sweep was of other data."""
    if folder is None:
        return None
    report = sweep_report.load(folder)
    if report.dataset["fingerprint"] != dataset.fingerprint:
        raise DataError(
            f"--beside {folder} is a sweep of other data ({report.dataset['name']}, or another "
            f"version of it) than {dataset.folder}; only sweeps on the same questions can be "
            "compared"
        )
    # The sweep that it was itself compared with is not part of this comparison.
    return report.model_copy(update={"beside": None})


@contextmanager
def _claim(plan: Plan, dataset: Dataset) -> Iterator[None]:
    """Lock the folder; RunError when it holds another sweep, or something else."""
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
                f"{folder} holds a sweep with other settings ({difference}); choose another "
                "--output"
            )
    # Hidden files are the lock, and what a killed process left half-written.
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RunError(f"{folder} has files in it but is not a sweep; choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", f"another process is working in {folder}"):
        write_json(file, settings)
        yield


def _execute(
    plan: Plan, launcher: Launcher, tasks: Sequence[Task], unfinished: Sequence[Task]
) -> dict[str, str]:
    """Execute the unfinished tasks; return the error message of each failed run, by name."""
    failures = {}
    finished = len(tasks) - len(unfinished)
    try:
        with progress("Runs of the sweep", len(tasks), "runs", start=finished) as meter:
            for task, failure in launcher.launch(unfinished, plan.shared["device"]):
                if failure is not None:
                    failures[task.name] = failure
                meter.advance(note=f"{task.name}{' failed' if failure else ''}")
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            f"stopped; {plan.folder} keeps the finished runs; the same command continues"
        ) from None
    return failures
