"""What a ticket costs and gains: `lxcompress bench RUN`.

RUN/bench/report.json   every figure, as benchmarks/bench/schema.py describes it
RUN/bench/report.md     the same in words and tables
RUN/bench/report.html   the same with plots: one file, no network, no script
RUN/bench/work/         finished parts, with what they depend on: a rerun continues, or, where
                        files, data, options, versions or machine differ, measures again
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench import accuracy as bench_accuracy
from benchmarks.bench import latency as bench_latency
from benchmarks.bench import loading as bench_loading
from benchmarks.bench import sizes as bench_sizes
from benchmarks.bench.findings import words
from benchmarks.bench.inputs import BenchSource
from benchmarks.bench.latency import EAGER, ONNX, Answer, System
from benchmarks.bench.report import html, markdown
from benchmarks.bench.schema import SCHEMA, Report
from exporters.runtime.vqa_model import check_device
from exporters.variants import VARIANTS
from lxcompress.errors import ConfigError, RunError
from lxcompress.run import Run
from lxcompress.system.device import resolve_device
from lxcompress.system.environment import describe
from lxcompress.system.files import atomic_path, locked, read_json, write_json

BATCH_SIZES = {"cpu": (1, 8), "cuda": (1, 8, 32, 128)}


@dataclass(frozen=True)
class Settings:
    """How to measure; `lxcompress bench --help` tells what each is."""

    device: str = "cpu"
    batch_sizes: tuple[int, ...] = ()  # none: those of the device
    runs: int = 30
    seconds: float = 30.0
    loads: int = 5
    questions: int = 256
    compile: bool | None = None  # None: on CUDA only

    def complete(self) -> Settings:
        """All choices made; ConfigError or DeviceError for what cannot be done here."""
        if self.device not in BATCH_SIZES:
            raise ConfigError(f"--device {self.device}: choose {', '.join(BATCH_SIZES)}")
        resolve_device(self.device)
        check_device(self.device)
        sizes = dict.fromkeys(self.batch_sizes or BATCH_SIZES[self.device])
        compiled = self.device == "cuda" if self.compile is None else self.compile
        given = {**vars(self), "batch_sizes": tuple(sizes), "compile": compiled}
        return Settings(**given)

    def options(self) -> list[str]:
        """As on the command line."""
        words = ["--device", self.device]
        for size in self.batch_sizes:
            words += ["--batch-size", str(size)]
        words += ["--runs", str(self.runs), "--seconds", f"{self.seconds:g}"]
        words += ["--loads", str(self.loads), "--questions", str(self.questions)]
        return [*words, "--compile" if self.compile else "--no-compile"]


def bench(
    folder: Path, settings: Settings, output: Path | None = None, *, force: bool = False
) -> Report:
    """Measure the run in `folder` and write its report into `output` (the run's bench/ if None).

    With `force` finished parts are measured again. Raises RunError for a run without exports or
    with wrong ones, DataError when its data changed, ConfigError and DeviceError for options.
    """
    settings = settings.complete()
    source = BenchSource.open(Run(folder))
    target = source.run.bench if output is None else output
    if target.exists() and not target.is_dir():
        raise ConfigError(f"--output {target} is a file")
    source.check_batch_sizes(settings.batch_sizes)
    if settings.compile:
        bench_latency.check_compiler(settings.device)
    target.mkdir(parents=True, exist_ok=True)
    with locked(target / ".lock", f"another process is writing {target}"):
        work = target / "work"
        if force and work.exists():
            shutil.rmtree(work)
        report = _measure(source, settings, work)
        _write(report, target)
    return report


def _measure(source: BenchSource, settings: Settings, work: Path) -> Report:
    """Size, accuracy, loading, then latency: each part is kept as soon as it is finished."""
    run, environment = source.run, describe(settings.device)
    parts = _Parts(work, {"files": source.fingerprints(), "environment": environment})
    size = parts.once("size", {}, lambda: bench_sizes.sizes(run, source.records))
    accuracy = _measure_accuracy(source, settings, parts)
    loading = parts.once(
        "loading",
        {"loads": settings.loads},
        lambda: bench_loading.load_times(run, source.variants, settings.device, settings.loads),
    )
    latency = _measure_latency(source, settings, parts)
    command = ["lxcompress", "bench", str(run.folder), *settings.options()]
    report = Report.model_validate(
        {
            "schema": SCHEMA,
            "command": shlex.join(command),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "run": run.folder.resolve().name,
            "dataset": source.result["dataset"],
            "sparsity": source.result["ticket"]["sparsity"],
            "size": size,
            "loading": loading,
            "latency": latency,
            "accuracy": accuracy,
            "findings": {},
            "environment": environment,
        }
    )
    return report.model_copy(update={"findings": words(report)})


def _measure_accuracy(source: BenchSource, settings: Settings, parts: _Parts) -> Any:
    """Answers are kept system by system: on a large split each takes a while."""
    run, data, device = source.run, source.data, settings.device
    answers = {}

    def answered(system: System, answer: Callable[[], bench_accuracy.Answers]) -> None:
        # As pairs, because JSON would make texts of ids that are numbers.
        name = "answers-" + system.name.lower().replace(" ", "-")
        kept = parts.once(name, {}, lambda: list(answer().items()))
        answers[system] = dict(kept)

    def in_pytorch(model: Path) -> Callable[[], bench_accuracy.Answers]:
        return lambda: bench_accuracy.answers_in_pytorch(model, data, device)

    def in_onnx(path: Path) -> Callable[[], bench_accuracy.Answers]:
        threads = torch.get_num_threads()
        return lambda: bench_accuracy.answers_in_onnx(path, data, device, threads)

    answered(System(EAGER, "dense", "fp32"), in_pytorch(run.dense))
    answered(System(EAGER, "ticket", "fp32"), in_pytorch(run.ticket))
    for variant in (VARIANTS[name] for name in source.variants):
        system = System(ONNX, "ticket" if variant.sparse else "dense", variant.precision)
        answered(system, in_onnx(run.onnx / variant.file))
    compare = bench_accuracy.compare
    return parts.once("accuracy", {}, lambda: compare(answers, data.questions, "val"))


def _measure_latency(source: BenchSource, settings: Settings, parts: _Parts) -> list[Any]:
    systems: dict[System, Answer] = {}  # loaded when the first batch size needs them

    def timed(size: int) -> dict[str, Any]:
        if not systems:
            threads = torch.get_num_threads()
            systems.update(
                bench_latency.open_systems(
                    source.run, source.variants, settings.device, threads, bool(settings.compile)
                )
            )
        batches = bench_latency.real_batches(source.data, size, settings.questions)
        return bench_latency.time_systems(
            systems, batches, runs=settings.runs, seconds=settings.seconds
        )

    how = {name: vars(settings)[name] for name in ("runs", "seconds", "questions", "compile")}
    found = []
    for size in settings.batch_sizes:
        make: Callable[[], Any] = lambda size=size: timed(size)  # type: ignore[misc] # noqa: E731
        found.append(parts.once(f"latency-{size}", how, make))
    return found


class _Parts:
    """Finished parts of a report, each valid for what it was measured on."""

    def __init__(self, folder: Path, made_of: dict[str, Any]) -> None:
        self.folder, self.made_of = folder, made_of

    def once(self, name: str, how: dict[str, Any], make: Callable[[], Any]) -> Any:
        """A part's JSON value; made and kept unless it is there, of the same files and `how`."""
        path, made_of = self.folder / f"{name}.json", {**self.made_of, "how": how}
        if path.exists():
            kept = read_json(path, "intermediate result", RunError)
            if kept["made_of"] == made_of:
                return kept["value"]
        write_json(path, {"made_of": made_of, "value": make()})
        return read_json(path, "intermediate result", RunError)["value"]


def _write(report: Report, folder: Path) -> None:
    """All three files; the texts are made before the first is written."""
    texts: Sequence[tuple[str, str]] = (
        ("report.md", markdown(report)),
        ("report.html", html(report)),
    )
    write_json(folder / "report.json", report.model_dump(mode="json", by_alias=True))
    for name, text in texts:
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
