"""The speedup of a ticket's file over the dense file, measured after an export, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np

from exporters.graph.interface import OUTPUT
from exporters.records import DeliveredSpeedup, ExportReport
from exporters.runtime.session import stock_session
from exporters.source import Source, open_questions
from exporters.variants import VARIANTS
from lxcompress.data.random_batches import random_batches
from lxcompress.model.source import ModelSource
from lxcompress.result import Speedup
from lxcompress.system.machine.environment import describe
from lxcompress.system.progress import progress
from lxcompress.system.timing import time_in_rounds

_QUESTIONS = 256
_ROUNDS, _SECONDS = 50, 10.0  # at least


def measure_speedup(source: Source, report: ExportReport) -> DeliveredSpeedup | None:
    """Return the speedup of the files of a run with a target; None without one, or without them.

    It is measured again only where a file has changed since `report` recorded it.
    """
    target = source.run.read_result().ticket.speedup if source.run else None
    if target is None:
        return None
    files = {
        name: VARIANTS[variant].file
        for name, variant in (("dense", target.precision), ("ticket", f"sparse-{target.precision}"))
    }
    is_there = (file in report.files and (source.onnx / file).exists() for file in files.values())
    if not all(is_there):
        return None
    hashes = {file: report.files[file].sha256 for file in files.values()}
    if report.speedup is not None and report.speedup.files == hashes:
        return report.speedup
    runs = _systems(source, files, target)
    with progress("Measuring the speedup", _ROUNDS, "rounds") as meter:
        samples = time_in_rounds(
            runs,
            rounds=_ROUNDS,
            seconds=_SECONDS,
            on_round=lambda number, _: meter.advance() if number <= _ROUNDS else None,
        )
    dense, ticket = (np.asarray(samples[name]) for name in ("dense", "ticket"))
    return DeliveredSpeedup(
        measured=float(np.median(dense / ticket)),
        dense_seconds=float(np.median(dense)),
        ticket_seconds=float(np.median(ticket)),
        rounds=len(dense),
        files=hashes,
        machine=describe("cpu"),
        **target.model_dump(include={"target", "predicted", "precision", "batch"}),
    )


def _systems(
    source: Source, files: dict[str, str], target: Speedup
) -> dict[str, Callable[[], object]]:
    assert source.ticket is not None
    model = ModelSource.open(source.ticket.absolute())
    questions = open_questions(source, model.read_config(), model.load_tokenizer())
    batches = random_batches(questions, target.batch, _QUESTIONS)

    def runs(file: str) -> Callable[[], object]:
        # As many threads as when the latencies were measured, whatever the size of the file.
        session = stock_session(source.onnx / file, threads=target.machine["threads"] or 0)
        following = cycle(batches)
        return lambda: session.run([OUTPUT], next(following))

    return {name: runs(file) for name, file in files.items()}
