"""Sentences on speed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal, get_args

from benchmarks.bench.schema import LatencyOfBatch, Network, Precision, Ratio, Report, System
from benchmarks.bench.systems import COMPILED, EAGER, ONNX
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.numbers import milliseconds, with_interval
from benchmarks.report.records import Interval

# A speedup whose interval lies within this of 1 is called equal if the interval includes 1,
EQUAL_WITHIN = 0.1
# and within this even if it does not: a file against itself differs by as much.
NOISE = 0.03

PRUNING = ("structure", "sparsity")  # what a ticket and the dense model of its precision differ in

Verdict = Literal["faster", "equal", "slower", "inconclusive"]

_SAME_SHAPES = (
    "Both run the same dense kernels on the same shapes, so this is not attributed to sparsity."
)
_STRUCTURE: dict[Verdict, str] = {
    "faster": "the ticket's files have fewer heads and neurons, and are faster than the dense "
    "files of the same precision. Speedups: {}.",
    "equal": "the ticket's files have fewer heads and neurons, but are only as fast as the dense "
    "files of the same precision. Speedups: {}.",
    "slower": "the ticket's files measured slower than the dense files of the same precision, "
    "although they have fewer heads and neurons. Speedups: {}.",
}
_INCONCLUSIVE = (
    "no significant difference in speed from the dense model, but the intervals are wide. "
    "Speedups: {}. A longer run (--seconds) makes them narrower."
)


def speed_of(batch: LatencyOfBatch, precision: Precision, ratio: Ratio, network: Network) -> str:
    """The speedup of a ticket's file over the dense file of its `precision`, and what explains it.

    `ratio` isolates structure or sparsity.
    """
    measured = f"({figures(ratio.times_as_fast)}; batch {batch.batch_size})"
    ticket, dense = f"The {precision} ticket", f"the dense {precision} file"
    smaller = (
        f"its file has fewer heads and neurons, and {network.share:.0%} of the multiply-adds"
        if ratio.isolates == "structure"
        else None
    )
    match verdict_of(ratio.times_as_fast):
        case "inconclusive":
            return (
                f"No significant difference between the {precision} ticket and {dense} {measured}, "
                "but the interval is wide; a longer run (--seconds) makes it narrower."
            )
        case "equal" if smaller:
            return f"{ticket} is as fast as {dense} {measured}, although {smaller}."
        case "faster" if smaller:
            return f"{ticket} is faster than {dense} {measured}: {smaller}."
        case "slower" if smaller:
            return (
                f"{ticket} measured slower than {dense} {measured}, although {smaller}."
                f"{control(batch)}"
            )
        case "equal":
            return (
                f"{ticket} is as fast as {dense} {measured}; unstructured sparsity does not speed "
                "up dense kernels."
            )
        case faster_or_slower:
            return (
                f"{ticket} measured {faster_or_slower} than {dense} {measured}. {_SAME_SHAPES}"
                f"{control(batch)}"
            )


def requested(report: Report) -> Iterator[str]:
    """The speedup that the ticket was pruned to, beside the measured one; nothing for others."""
    speedup = report.speedup
    if speedup is None:
        return
    prefix = (
        f"the target is {speedup.target:.2f} in {speedup.precision} at batch {speedup.batch}, "
        f"{speedup.predicted:.2f} was predicted"
    )
    name = f"{ONNX} {{}} {speedup.precision}".format
    measured = [
        ratio.times_as_fast
        for batch in report.latency
        if batch.batch_size == speedup.batch
        for ratio in batch.ratios
        if (ratio.of, ratio.against) == (name("ticket"), name("dense"))
    ]
    if measured:
        yield f"{prefix}, and {with_interval(measured[0])} is measured here."
    else:
        yield (
            f"{prefix}, and nothing is measured here; that takes files in {speedup.precision} and "
            f"--batch-size {speedup.batch}."
        )


def figures(speedup: Interval) -> str:
    """A speedup with its interval."""
    interval = f"{CONFIDENCE:.0%} interval {speedup.low:.2f}–{speedup.high:.2f}"
    return f"speedup {speedup.estimate:.2f}, {interval}"


def verdict_of(speedup: Interval) -> Verdict:
    distance = max(abs(speedup.low - 1), abs(speedup.high - 1))
    if distance <= NOISE or (speedup.includes(1) and distance <= EQUAL_WITHIN):
        return "equal"
    if speedup.includes(1):
        return "inconclusive"
    return "faster" if speedup.estimate > 1 else "slower"


def control(batch: LatencyOfBatch) -> str:
    """The dense fp32 file against itself, which shows the noise."""
    for ratio in batch.ratios:
        if ratio.isolates == "control":
            speedup = with_interval(ratio.times_as_fast)
            return f" The dense fp32 file against itself measured {speedup}."
    return ""


def attribution(batch: LatencyOfBatch, precision: Precision) -> Iterator[str]:
    """How much of a file's speed over PyTorch comes from what; nothing unless both ran.

    The file is the ticket's, or without a ticket the dense one.
    """
    factors = steps(batch, precision)
    if "all" not in factors:
        return
    *parts, last = (
        f"{STEPS[name]} {ratio.times_as_fast.estimate:.2f}{note(ratio.times_as_fast)}"
        for name, ratio in factors.items()
        if name != "all"
    )
    file, model = ("ticket", "dense fp32") if factors.keys() & {*PRUNING} else ("file", "fp32")
    yield (
        f"The {precision} {file} in ONNX Runtime against the {model} model in PyTorch eager: "
        f"{figures(factors['all'].times_as_fast)} (batch {batch.batch_size}). The factors "
        f"are {', '.join(parts)} and {last}."
    )


def note(speedup: Interval) -> str:
    """What else than a gain a speedup is, in brackets; nothing for a gain."""
    return _NOTES[verdict_of(speedup)]


STEPS = {  # by what a ratio isolates
    "runtime": "runtime and graph",
    "precision": "precision",
    "structure": "structure",
    "sparsity": "sparsity",
    "all": "together",
}
_NOTES: dict[Verdict, str] = {
    "equal": " (no gain)",
    "inconclusive": " (its interval includes 1)",
    "slower": " (a loss)",
    "faster": "",
}


def steps(batch: LatencyOfBatch, precision: Precision) -> dict[str, Ratio]:
    """The steps from the dense model in PyTorch eager to a file in ONNX Runtime.

    By what each isolates: the runtime (with its graph optimizations), the precision (if it is not
    fp32), for a ticket's file structure or sparsity, and "all" of these together.
    """
    eager, dense_fp32 = System.of(EAGER, "dense", "fp32"), System.of(ONNX, "dense", "fp32")
    dense, ticket = System.of(ONNX, "dense", precision), System.of(ONNX, "ticket", precision)
    found = {(ratio.of, ratio.against): ratio for ratio in batch.ratios}
    pairs = [(dense_fp32, eager), (dense, dense_fp32), (ticket, dense), (ticket, eager)]
    pairs.append((dense, eager))
    ratios = (found.get((of.name, against.name)) for of, against in pairs)
    return {ratio.isolates: ratio for ratio in ratios if ratio}


def speed(batch: LatencyOfBatch, report: Report) -> Iterator[str]:
    """Sentences on one batch size."""
    grouped: dict[tuple[str, Verdict], list[str]] = {}
    systems = {latency.system.name: latency.system for latency in batch.systems}
    for ratio in batch.ratios:
        if ratio.isolates in PRUNING:
            system, verdict = systems[ratio.of], verdict_of(ratio.times_as_fast)
            text = f"{system.runtime} {system.precision} {with_interval(ratio.times_as_fast)}"
            grouped.setdefault((ratio.isolates, verdict), []).append(text)
    for isolates, verdict in product(PRUNING, get_args(Verdict)):
        if (isolates, verdict) in grouped:
            listed = ", ".join(grouped[isolates, verdict])
            yield f"Batch {batch.batch_size}: {_about(isolates, verdict, listed, batch, report)}"
    yield from _fastest_dense(batch)


def _about(
    isolates: str, verdict: Verdict, speedups: str, batch: LatencyOfBatch, report: Report
) -> str:
    if verdict == "inconclusive":
        return _INCONCLUSIVE.format(speedups)
    if isolates == "structure":
        noise = control(batch) if verdict == "slower" else ""
        return _STRUCTURE[verdict].format(speedups) + noise
    if verdict != "equal":
        return (
            f"the interval excludes 1, the speed of the dense model. Speedups: {speedups}. "
            f"{_SAME_SHAPES}{control(batch)}"
        )
    reason = (
        "PyTorch computes removed heads and neurons, which are zeros in its matrices."
        if report.size.compact
        else "Unstructured sparsity does not speed up dense kernels."
    )
    return (
        "the ticket is as fast as the dense model of the same precision and runtime. "
        f"Speedups: {speedups}. {reason}"
    )


def _fastest_dense(batch: LatencyOfBatch) -> Iterator[str]:
    """How much of the speed comes from the runtime and the precision."""
    dense = [latency for latency in batch.systems if latency.system.model == "dense"]
    eager = next((it for it in dense if it.system == System.of(EAGER, "dense", "fp32")), None)
    fastest = min(dense, key=lambda latency: latency.p50)
    if eager and fastest.system.runtime in (ONNX, COMPILED):
        yield (
            f"Batch {batch.batch_size}: the fastest dense system is {fastest.system.name} with a "
            f"median of {milliseconds(fastest.p50)}, against {milliseconds(eager.p50)} for "
            f"{eager.system.name}. This gain comes from runtime and precision, not from pruning."
        )
