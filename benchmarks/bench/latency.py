"""Latency of all systems on the same real questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bench.schema import Latency, LatencyOfBatch, Ratio, System
from benchmarks.bench.systems import COMPILED, speed_pairs
from benchmarks.measure import latency
from benchmarks.measure.compilation import compile_for
from benchmarks.measure.latency import Forward, Inputs
from benchmarks.measure.statistics import median_ratio
from lxcompress.system.progress import progress
from lxcompress.system.timing import time_in_rounds


def time_systems(
    systems: Mapping[System, Forward],
    batches: Sequence[Inputs],
    *,
    compact: bool,
    runs: int,
    seconds: float,
) -> LatencyOfBatch:
    """Time every system from a batch's arrays to logits on the host; all batches have one size.

    `compact` says that the ticket's files have fewer heads and neurons.

    There are at least `runs` rounds, and they take at least `seconds`.

    Raises:
        DeviceError: torch.compile fails.
    """
    size = len(batches[0]["input_ids"])
    compiled = {
        f"{system.model} {system.precision}": forward
        for system, forward in systems.items()
        if system.runtime == COMPILED
    }
    if compiled:
        compile_for(batches, compiled)
    samples = _time(systems, batches, f"Timing, batch {size}", runs, seconds)
    return LatencyOfBatch(
        batch_size=size,
        batches=len(batches),
        tokens=[batch["input_ids"].shape[1] for batch in batches],
        regions=[batch["visual_feats"].shape[1] for batch in batches],
        systems=[
            Latency(
                system=system,
                **latency.percentiles(taken),
                samples=taken,
                questions_per_second=size * len(taken) / sum(taken),
            )
            for system, taken in samples.items()
        ],
        ratios=[
            Ratio(
                of=of.name,
                against=against.name,
                isolates=isolates,
                times_as_fast=median_ratio(samples[against], samples[of]),
            )
            for of, against, isolates in speed_pairs(samples, compact=compact)
        ],
    )


def _time(
    systems: Mapping[System, Forward],
    batches: Sequence[Inputs],
    description: str,
    runs: int,
    seconds: float,
) -> dict[System, list[float]]:
    shown = 0
    with progress(description, 100, "%") as meter:

        def show(rounds: int, elapsed: float) -> None:
            nonlocal shown
            percent = int(100 * min(rounds / runs, elapsed / max(seconds, 1e-9), 1))
            if percent > shown:
                meter.advance(percent - shown, f"{rounds} runs of each")
                shown = percent

        running = {
            system: latency.over_batches(batches, forward) for system, forward in systems.items()
        }
        return time_in_rounds(running, rounds=runs, seconds=seconds, on_round=show)
