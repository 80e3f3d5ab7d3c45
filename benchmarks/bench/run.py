"""`lxcompress bench MODEL`: measure exported files and write the report.

Of a run, the ticket is measured against the dense model; of any other model, its files of lower
precision against fp32, and all against PyTorch. Beside the folder of the files:

bench/report.json   every figure, as benchmarks/bench/schema.py describes it
bench/report.md     sentences and tables
bench/report.html   the same with plots: one file, no network, no script
bench/work/         finished parts, from which a rerun continues; where files, data, options,
                    versions or machine have changed, it measures again
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from benchmarks.bench import accuracy, latency, loading, network, sizes
from benchmarks.bench.findings.summary import findings
from benchmarks.bench.inputs import BenchInputs
from benchmarks.bench.parts import FinishedParts
from benchmarks.bench.report import html, markdown
from benchmarks.bench.schema import (
    SCHEMA,
    Accuracies,
    LatencyOfBatch,
    Loading,
    Network,
    Report,
    Size,
    System,
)
from benchmarks.bench.subject import Subject
from benchmarks.bench.systems import DENSE_CONTROL, EAGER, onnx_system, open_systems
from benchmarks.measure.compilation import check_compiler
from benchmarks.measure.latency import Forward
from exporters.runtime.session import check_device
from exporters.variants import VARIANTS
from lxcompress.data.questions.question import QuestionId, can_be_scored
from lxcompress.data.random_batches import random_batches
from lxcompress.errors import ConfigError
from lxcompress.evaluation.scoring import read_results
from lxcompress.system.files import atomic_path, locked, sha256, write_json
from lxcompress.system.machine.device import resolve_device
from lxcompress.system.machine.environment import describe
from lxcompress.system.machine.threads import set_torch_threads
from lxcompress.system.output_folder import check_writable

BATCH_SIZES = {"cpu": (1, 8), "cuda": (1, 8, 32, 128)}


@dataclass(frozen=True)
class Settings:
    """How to measure; `lxcompress bench --help` describes the options."""

    device: str = "cpu"
    batch_sizes: tuple[int, ...] = ()  # empty: those of the device
    runs: int = 30
    seconds: float = 30.0
    loads: int = 5
    questions: int = 256
    compile: bool | None = None  # None: on CUDA only

    def complete(self) -> Settings:
        """Return the settings with the device's defaults filled in.

        Raises:
            ConfigError, DeviceError: The device is unknown or cannot be used here.
        """
        if self.device not in BATCH_SIZES:
            raise ConfigError(f"--device {self.device}: choose {', '.join(BATCH_SIZES)}")
        resolve_device(self.device)
        check_device(self.device)
        distinct = dict.fromkeys(self.batch_sizes or BATCH_SIZES[self.device])
        compiled = self.device == "cuda" if self.compile is None else self.compile
        return replace(self, batch_sizes=tuple(distinct), compile=compiled)

    def options(self) -> list[str]:
        """The settings as options of the command line."""
        options = ["--device", self.device]
        for size in self.batch_sizes:
            options += ["--batch-size", str(size)]
        options += ["--runs", str(self.runs), "--seconds", f"{self.seconds:g}"]
        options += ["--loads", str(self.loads), "--questions", str(self.questions)]
        return [*options, "--compile" if self.compile else "--no-compile"]


def bench(
    subject: Subject, settings: Settings, output: Path | None = None, *, force: bool = False
) -> tuple[Report, Path]:
    """Measure a run or a model; write the report, and return it with the folder that holds it.

    That is `output`, or bench/ beside the folder of the exported files. With `force`, finished
    parts are measured again.

    Raises:
        RunError: There are no usable exports, or another process writes the report.
        ModelError: There is no such model, or it cannot be loaded.
        DataError: The data of the run have changed.
        ConfigError, DeviceError: An option is wrong, or cannot be used here.
    """
    settings = settings.complete()
    inputs = BenchInputs.open(subject)
    target = inputs.source.onnx.parent / "bench" if output is None else output
    check_writable("--output", target)
    inputs.check_batch_sizes(settings.batch_sizes)
    if settings.compile:
        check_compiler(settings.device)
    target.mkdir(parents=True, exist_ok=True)
    with locked(target / ".lock", f"another process is writing {target}"):
        work = target / "work"
        if force and work.exists():
            shutil.rmtree(work)
        report = _measure(inputs, settings, work)
        _write(report, target)
    return report, target


def _measure(inputs: BenchInputs, settings: Settings, work: Path) -> Report:
    """Size, answers, loading, then latency; each part is kept as soon as it is finished."""
    set_torch_threads(inputs.parameters)
    environment, onnx = describe(settings.device), inputs.source.onnx
    parts = FinishedParts(
        work,
        {"schema": SCHEMA, "files": inputs.fingerprints(), "environment": environment},
    )
    size = parts.once("size", Size, lambda: sizes.sizes(inputs), {})
    answers, control = _measure_answers(inputs, settings, parts)
    accuracies = _score(inputs, answers, control, parts)
    loads = parts.once(
        "loading",
        list[Loading],
        lambda: loading.load_times(onnx, inputs.variants, settings.device, settings.loads),
        {"loads": settings.loads},
    )
    latencies = _measure_latency(inputs, settings, parts, compact=size.compact)
    result = inputs.result
    report = Report(
        schema=SCHEMA,
        command=inputs.subject.bench_command(settings.options()),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        name=inputs.subject.name,
        dataset=inputs.dataset,
        sparsity=result.ticket.sparsity if result else None,
        dense_control=result.dense_control if result else None,
        speedup=result.ticket.speedup if result else None,
        size=size,
        network=_count(inputs, latencies[0], parts),
        loading=loads,
        latency=latencies,
        agreement=accuracy.agree(answers),
        accuracy=accuracies,
        findings={},
        environment=environment,
    )
    return report.model_copy(update={"findings": findings(report)})


def _measure_answers(
    inputs: BenchInputs, settings: Settings, parts: FinishedParts
) -> tuple[dict[System, accuracy.Answers], Path | None]:
    """The answers of all systems, and the file of those of a run's dense control.

    They are kept system by system: on a large split each takes a while.
    """
    source, data, device = inputs.source, inputs.data, settings.device
    measures: dict[System, Callable[[], accuracy.Answers]] = {
        System.of(EAGER, model, "fp32"): partial(accuracy.answers_in_pytorch, inputs, model, device)
        for model in inputs.models
    }
    for variant in (VARIANTS[name] for name in inputs.variants):
        file, threads = source.onnx / variant.file, torch.get_num_threads()
        measures[onnx_system(variant)] = partial(
            accuracy.answers_in_onnx, file, data, device, threads
        )
    answers = {}
    for system, measure in measures.items():
        name = "answers-" + system.name.lower().replace(" ", "-")
        # As pairs, because the keys of a JSON object cannot be numbers.
        pairs = parts.once(name, list[tuple[QuestionId, str]], partial(_pairs, measure), {})
        answers[system] = dict(pairs)
    control = accuracy.answers_of_control(source.run) if source.run else None
    if control is not None:
        eager, *others = answers.items()  # beside the other models in PyTorch
        answers = dict([eager, (DENSE_CONTROL, read_results(control)), *others])
    return answers, control


def _score(
    inputs: BenchInputs,
    answers: dict[System, accuracy.Answers],
    control: Path | None,
    parts: FinishedParts,
) -> Accuracies | None:
    """None where nobody knows the right answers: of generated questions, or unannotated ones."""
    questions = inputs.data.questions
    if not can_be_scored(questions):
        return None
    return parts.once(
        "accuracy",
        Accuracies,
        lambda: accuracy.compare(answers, questions, "val"),
        {"resampled": "pictures", "control": control and sha256(control)},
    )


def _pairs(measure: Callable[[], accuracy.Answers]) -> list[tuple[QuestionId, str]]:
    return list(measure().items())


def _measure_latency(
    inputs: BenchInputs, settings: Settings, parts: FinishedParts, *, compact: bool
) -> list[LatencyOfBatch]:
    systems: dict[System, Forward] = {}  # loaded when the first batch size needs them

    def measure(size: int) -> LatencyOfBatch:
        if not systems:
            threads, compiled = torch.get_num_threads(), bool(settings.compile)
            systems.update(open_systems(inputs, settings.device, threads, compiled))
        batches = random_batches(inputs.data, size, settings.questions)
        return latency.time_systems(
            systems, batches, compact=compact, runs=settings.runs, seconds=settings.seconds
        )

    options = {name: vars(settings)[name] for name in ("runs", "seconds", "questions", "compile")}
    return [
        parts.once(f"latency-{size}", LatencyOfBatch, partial(measure, size), options)
        for size in settings.batch_sizes
    ]


def _count(inputs: BenchInputs, measured: LatencyOfBatch, parts: FinishedParts) -> Network:
    """Heads, neurons and multiply-adds, for a question of the measured length."""
    question = {
        "tokens": round(statistics.median(measured.tokens)),
        "regions": round(statistics.median(measured.regions)),
    }
    tickets = [VARIANTS[name] for name in inputs.variants if VARIANTS[name].sparse]
    file = inputs.source.onnx / tickets[0].file if tickets else None
    count = partial(network.of_files, inputs.shapes(), file, **question)
    return parts.once("network", Network, count, question)


def _write(report: Report, folder: Path) -> None:
    """Write all three files; the texts are made before the first is written."""
    texts = {"report.md": markdown(report), "report.html": html(report)}
    write_json(folder / "report.json", report.model_dump(mode="json", by_alias=True))
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
