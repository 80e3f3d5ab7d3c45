"""What the figures of a report show, as sentences; every one is computed from the report.

Two systems are said to differ only where the interval excludes equality. Nothing that comes from
precision or from another runtime is attributed to sparsity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from benchmarks.bench.schema import (
    Comparison,
    FileSize,
    LatencyOfBatch,
    Loading,
    Precision,
    Ratio,
    Report,
    System,
)
from benchmarks.bench.systems import COMPILED, EAGER, ONNX, pair_name
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.numbers import (
    duration,
    megabytes,
    milliseconds,
    p_value,
    points,
    with_interval,
)
from benchmarks.report.records import Interval

# A speedup whose interval lies within this of 1 is called equal if the interval includes 1,
EQUAL_WITHIN = 0.1
# and within this even if it does not: a file against itself differs by as much.
NOISE = 0.03
# With so many loads of each file, all of one are faster than all of the other by chance in 2 of 70.
_FEWEST_LOADS = 4

Verdict = Literal["equal", "inconclusive", "different"]


def findings(report: Report) -> dict[str, list[str]]:
    """Sentences by subject: summary, size, speed, loading, accuracy. Plain text, no markup."""
    return {
        "summary": _summary(report),
        "size": _size(report),
        "speed": [sentence for batch in report.latency for sentence in _speed(batch, report)],
        "loading": _loading(report),
        "accuracy": _accuracy(report),
    }


def _summary(report: Report) -> list[str]:
    """The smallest ticket file, and the first batch size."""
    file = min(report.size.tickets, key=lambda ticket: ticket.bytes)
    precision = file.precision
    ticket = System.of(ONNX, "ticket", precision).name
    sentences = [
        f"{report.sparsity.prunable:.1%} of the prunable weights are zero "
        f"({report.sparsity.model:.1%} of all parameters).",
        f"Size: {_size_of(file)}",
    ]
    for batch in report.latency[:1]:
        sentences += [
            f"Speed: {_speed_of(batch, precision, ratio, report.size.compact)}"
            for ratio in batch.ratios
            if ratio.of == ticket
        ]
    sentences += [
        f"Accuracy: {_accuracy_of(comparison, f'{precision} ticket against dense {precision}')}"
        for comparison in _by_sparsity(report)
        if comparison.of == ticket
    ]
    return sentences


# -- Size ---------------------------------------------------------------------------------------


def _size(report: Report) -> list[str]:
    files = report.size.tickets
    overhead = max(files, key=lambda file: file.container / file.bytes)
    bound = max(files, key=lambda file: (file.formula - file.entropy_bound) / file.formula)
    sizes = {other.name: other.bytes for other in report.size.other_formats}
    bitmask = sizes["ticket, bitmask"]
    return [
        *map(_size_of, files),
        "The weights of every file take exactly the number of bytes that the size formula gives. "
        "Everything else (graph, names, answers, tokenizer) is at most "
        f"{overhead.container / overhead.bytes:.1%} of a ticket file ({overhead.precision}). "
        f"{_bound(bound)}",
        f"The fp32 ticket in other formats: {megabytes(sizes['ticket, safetensors'])} as "
        f"safetensors, zeros included; {megabytes(sizes['ticket, safetensors zipped'])} zipped; "
        f"{megabytes(sizes['ticket, CSR'])} as CSR, {sizes['ticket, CSR'] / bitmask:.2f} times "
        f"the {megabytes(bitmask)} of the bitmask encoding.",
    ]


def _size_of(file: FileSize) -> str:
    share = (
        f"The {file.precision} ticket file has {file.of_dense_fp32:.1%} of the size of the dense "
        "fp32 file"
    )
    saved = 1 - file.of_dense_same_precision
    change = f"{saved:.1%} smaller" if saved >= 0 else f"{-saved:.1%} larger"
    if file.precision == "fp32":
        return f"{share}; sparsity alone makes it {change}."
    dense = file.of_dense_fp32 / file.of_dense_same_precision
    return (
        f"{share}, the dense {file.precision} file {dense:.1%}. Sparsity makes the "
        f"{file.precision} file {change}."
    )


def _bound(file: FileSize) -> str:
    """What a better code of the mask could gain, for the file in which it could gain most."""
    gain = 1 - file.entropy_bound / file.formula
    if gain < 0.0005:
        return "Even an optimal code of the mask would make the weights less than 0.1% smaller."
    return (
        f"An optimal code of the mask would make the weights at most {gain:.1%} smaller "
        f"({file.precision})."
    )


# -- Speed --------------------------------------------------------------------------------------


_FEWER = "its file has fewer heads and neurons"


def _speed_of(batch: LatencyOfBatch, precision: Precision, ratio: Ratio, compact: bool) -> str:
    speedup = ratio.times_as_fast
    interval = f"{CONFIDENCE:.0%} interval {speedup.low:.2f}–{speedup.high:.2f}"
    figures = f"(speedup {speedup.estimate:.2f}, {interval}; batch {batch.batch_size})"
    dense = f"the dense {precision} file"
    match _verdict(speedup):
        case "equal" if compact:
            return f"The {precision} ticket is as fast as {dense} {figures}, although {_FEWER}."
        case "different" if compact and speedup.estimate > 1:
            return f"The {precision} ticket is faster than {dense} {figures}: {_FEWER}."
        case "equal":
            return (
                f"The {precision} ticket is as fast as {dense} {figures}; unstructured sparsity "
                "does not speed up dense kernels."
            )
        case "inconclusive":
            return (
                f"No significant difference between the {precision} ticket and {dense} {figures}, "
                "but the interval is wide; a longer run (--seconds) makes it narrower."
            )
        case "different":
            faster = "faster" if speedup.estimate > 1 else "slower"
            return (
                f"The {precision} ticket measured {faster} than {dense} {figures}. Both run the "
                f"same dense kernels on the same shapes, so this is not attributed to sparsity."
                f"{_control(batch)}"
            )


def _verdict(speedup: Interval) -> Verdict:
    distance = max(abs(speedup.low - 1), abs(speedup.high - 1))
    if distance <= NOISE or (speedup.includes(1) and distance <= EQUAL_WITHIN):
        return "equal"
    return "inconclusive" if speedup.includes(1) else "different"


def _control(batch: LatencyOfBatch) -> str:
    for ratio in batch.ratios:
        if ratio.isolates == "control":
            speedup = with_interval(ratio.times_as_fast)
            return f" The dense fp32 file against itself measured {speedup}."
    return ""


def _speed(batch: LatencyOfBatch, report: Report) -> Iterator[str]:
    speedups: dict[Verdict | Literal["structure"], list[str]] = {}
    systems = {latency.system.name: latency.system for latency in batch.systems}
    for ratio in batch.ratios:
        if ratio.isolates == "sparsity":
            system, speedup = systems[ratio.of], ratio.times_as_fast
            text = f"{system.runtime} {system.precision} {with_interval(speedup)}"
            verdict = _verdict(speedup)
            smaller = report.size.compact and system.runtime == ONNX
            faster = verdict == "different" and speedup.estimate > 1
            speedups.setdefault("structure" if smaller and faster else verdict, []).append(text)
    listed = {verdict: ", ".join(texts) for verdict, texts in speedups.items()}
    size = f"Batch {batch.batch_size}"
    if "structure" in listed:
        yield (
            f"{size}: the ticket's files have fewer heads and neurons, and are faster than the "
            f"dense files of the same precision. Speedups: {listed['structure']}."
        )
    if "equal" in listed:
        yield (
            f"{size}: the ticket is as fast as the dense model of the same precision and runtime. "
            f"Speedups: {listed['equal']}. Unstructured sparsity does not speed up dense kernels."
        )
    if "inconclusive" in listed:
        yield (
            f"{size}: no significant difference in speed from the dense model, but the intervals "
            f"are wide. Speedups: {listed['inconclusive']}. A longer run (--seconds) makes them "
            "narrower."
        )
    if "different" in listed:
        yield (
            f"{size}: the interval excludes 1, the speed of the dense model. Speedups: "
            f"{listed['different']}. Both run the same dense kernels on the same shapes, so this "
            f"is not attributed to sparsity.{_control(batch)}"
        )
    yield from _fastest_dense(batch)


def _fastest_dense(batch: LatencyOfBatch) -> Iterator[str]:
    """How much of the speed comes from the runtime and the precision."""
    dense = [latency for latency in batch.systems if latency.system.model == "dense"]
    eager = next((it for it in dense if it.system == System.of(EAGER, "dense", "fp32")), None)
    fastest = min(dense, key=lambda latency: latency.p50)
    if eager and fastest.system.runtime in (ONNX, COMPILED):
        yield (
            f"Batch {batch.batch_size}: the fastest dense system is {fastest.system.name} with a "
            f"median of {milliseconds(fastest.p50)}, against {milliseconds(eager.p50)} for "
            f"{eager.system.name}. This gain comes from runtime and precision, not from sparsity."
        )


# -- Loading ------------------------------------------------------------------------------------


def _loading(report: Report) -> list[str]:
    """Ticket and dense file by the same loader: another loader's gain is not one of sparsity."""
    sentences = []
    by_case = {(it.model, it.precision, it.loader): it for it in report.loading}
    for ticket in (it for it in report.loading if it.model == "ticket"):
        dense = by_case["dense", ticket.precision, ticket.loader]
        loader = "Stock ONNX Runtime" if ticket.loader == "stock" else "lxcompress's decoder"
        sentences.append(
            f"{loader} loads the {ticket.precision} ticket in {_load(ticket)}, the dense "
            f"{ticket.precision} file in {_load(dense)}. {_load_difference(ticket, dense)}"
        )
    return sentences


def _load(loading: Loading) -> str:
    peak = megabytes(loading.peak_bytes.median)
    return f"{duration(loading.seconds.median)} (peak memory {peak})"


def _load_difference(ticket: Loading, dense: Loading) -> str:
    ours, theirs = ticket.seconds.samples, dense.seconds.samples
    if len(ours) < _FEWEST_LOADS:
        return f"{len(ours)} loads of each are too few to tell a difference."
    if min(ours) <= max(theirs) and min(theirs) <= max(ours):
        return f"The times of {len(ours)} loads of each overlap."
    gap = duration(abs(ticket.seconds.median - dense.seconds.median))
    slower = ticket.seconds.median > dense.seconds.median
    return f"Decoding costs {gap}." if slower else f"The ticket loads {gap} faster."


# -- Accuracy -----------------------------------------------------------------------------------


def _accuracy(report: Report) -> list[str]:
    compared = {pair_name(report, it, "against"): it for it in _by_sparsity(report)}
    sentences = [_accuracy_of(comparison, pair) for pair, comparison in compared.items()]
    for pair, comparison in compared.items():
        changed = [
            f"{answer_type} {points(paired.difference)}"
            for answer_type, paired in comparison.by_type.items()
            if paired and answer_type != "overall" and not paired.difference.includes(0)
        ]
        if changed:
            sentences.append(f"By answer type, {pair}: {'; '.join(changed)}.")
    return sentences


def _by_sparsity(report: Report) -> list[Comparison]:
    return [it for it in report.accuracy.comparisons if it.isolates == "sparsity"]


def _accuracy_of(comparison: Comparison, pair: str) -> str:
    overall = comparison.by_type["overall"]
    assert overall
    difference, test, questions = overall.difference, overall.mcnemar, f"{overall.questions:,}"
    if test.neither == overall.questions and difference.low == difference.high == 0:
        verdict = f"neither answers any of {questions} questions correctly: not informative"
    elif difference.includes(0):
        verdict = f"no significant difference over {questions} questions"
    else:
        verdict = "the ticket is better" if difference.estimate > 0 else "the ticket is worse"
    return f"{pair}: {points(difference)}, McNemar's p {p_value(test.p)}; {verdict}."
