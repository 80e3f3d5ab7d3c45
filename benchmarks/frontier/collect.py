"""Collect the bench reports of several runs, whose latencies must be comparable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bench.schema import SCHEMA as BENCH_SCHEMA
from benchmarks.bench.schema import Report, System
from benchmarks.bench.systems import ONNX
from benchmarks.frontier.schema import DENSE, SCHEMA, Frontier, Latency, Point
from benchmarks.measure.statistics import median_ratio
from lxcompress.errors import DataError, RunError
from lxcompress.run import Run
from lxcompress.system.shell import lxcompress_command

_BASE = System.of(ONNX, "dense", "fp32")


def collect(folders: Sequence[Path], command: str) -> Frontier:
    """Return the files of the runs in `folders` with their accuracy and latency.

    Raises:
        RunError: A folder is no finished run, has no usable bench report, or was measured on
            another machine, with other versions or at other batch sizes than the first.
        DataError: The runs are of different data.
    """
    runs = {folder: Run.open_finished(folder) for folder in dict.fromkeys(folders)}
    reports = {folder: _read(run) for folder, run in runs.items()}
    (first, base), *_ = reports.items()
    assert base.dataset is not None and base.accuracy is not None
    for folder, report in reports.items():
        assert report.dataset is not None
        if report.dataset.fingerprint != base.dataset.fingerprint:
            raise DataError(f"{folder} and {first} are of different data; compare runs of the same")
        difference = _difference(report.environment, base.environment)
        if difference:
            raise RunError(
                f"the latencies of {folder} and {first} cannot be compared ({difference}); "
                f"`{lxcompress_command('bench', folder)}` measures again"
            )
    points: list[Point] = []
    for folder, report in reports.items():
        known = {(point.precision, point.accuracy.estimate) for point in points if _is_dense(point)}
        points += [
            point
            for point in _points(runs[folder], report, _name(folder, runs))
            # Runs of a sweep share their dense model.
            if not _is_dense(point) or (point.precision, point.accuracy.estimate) not in known
        ]
    found = Frontier(
        schema=SCHEMA,
        command=command,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=base.dataset,
        questions=base.accuracy.questions,
        points=points,
        environment=base.environment,
    )
    if not found.batch_sizes:
        raise RunError(
            "the runs were measured at different batch sizes; give `lxcompress bench` "
            "the same --batch-size for all"
        )
    return found


def _read(run: Run) -> Report:
    path = run.bench / "report.json"
    again = f"`{lxcompress_command('bench', run.folder)}` makes one"
    if not path.exists():
        raise RunError(f"{run.folder} has no bench report; {again}")
    report = Report.load(path, "bench report", RunError, schema=BENCH_SCHEMA, remedy=again)
    if report.dataset is None or report.accuracy is None or report.sparsity is None:
        raise RunError(f"bench report {path} is not of the run, but of a model alone; {again}")
    return report


def _difference(found: dict[str, Any], base: dict[str, Any]) -> str | None:
    """Describe the first difference of two environments."""
    for name in sorted(found.keys() | base.keys()):
        mine, other = found.get(name), base.get(name)
        if isinstance(mine, dict) and isinstance(other, dict):
            inner = _difference(mine, other)
            if inner:
                return inner
        elif mine != other:
            return f"{name} is {mine} and {other}"
    return None


def _name(folder: Path, folders: Collection[Path]) -> str:
    """Return the name of a run's folder, or its path if another has the same name."""
    name = folder.resolve().name
    same = sum(other.resolve().name == name for other in folders)
    return name if same == 1 else str(folder)


def _points(run: Run, report: Report, name: str) -> list[Point]:
    assert report.accuracy is not None and report.sparsity is not None
    pattern = " + ".join(run.read_result().patterns)
    accuracies = {found.system: found.accuracy["overall"] for found in report.accuracy.systems}
    points = []
    for file in report.size.files:
        system = System.of(ONNX, file.model, file.precision)
        accuracy = accuracies[system]
        assert accuracy is not None
        is_dense = file.model == "dense"
        points.append(
            Point(
                run=name,
                pattern=DENSE if is_dense else pattern,
                sparsity=0 if is_dense else report.sparsity.prunable,
                precision=file.precision,
                bytes=file.bytes,
                accuracy=accuracy,
                latencies=_latencies(report, system),
            )
        )
    return points


def _latencies(report: Report, system: System) -> list[Latency]:
    """The ratio to dense fp32 in the same rounds, from which the run's noise cancels."""
    found = []
    for batch in report.latency:
        timed = {latency.system: latency for latency in batch.systems}
        found.append(
            Latency(
                batch_size=batch.batch_size,
                p50=timed[system].p50,
                relative=median_ratio(timed[system].samples, timed[_BASE].samples),
            )
        )
    return found


def _is_dense(point: Point) -> bool:
    return point.pattern == DENSE
