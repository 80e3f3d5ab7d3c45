"""What the figures of a report say, in words: what sparsity bought, and what it did not.

Every sentence is computed. A difference is called one only where its interval leaves out "none",
and nothing that comes from precision or from another runtime is told as a gain of sparsity.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.bench.latency import COMPILED, EAGER, ONNX
from benchmarks.bench.schema import (
    Comparison,
    FileSize,
    Latency,
    LatencyOfBatch,
    Loading,
    Ratio,
    Report,
)
from benchmarks.report.numbers import (
    duration,
    includes,
    megabytes,
    milliseconds,
    p_value,
    pair,
    points,
    ratio_of,
)
from benchmarks.report.record import Interval

_EQUAL = 0.1  # an interval that has 1 and lies within this of it is called as fast,
_ALIKE = 0.03  # and one within this whether it has 1 or not: a file against itself differs so much
_FEWEST_LOADS = 4  # so many of each lie wholly apart by chance in 2 of 70 cases


def words(report: Report) -> dict[str, list[str]]:
    """Sentences by subject: summary, size, speed, loading, accuracy. Plain text, no mark-up."""
    return {
        "summary": _summary(report),
        "size": _size(report),
        "speed": [sentence for batch in report.latency for sentence in _speed(batch)],
        "loading": _loading(report),
        "accuracy": _accuracy(report),
    }


def _summary(report: Report) -> list[str]:
    file = min(report.size.tickets, key=lambda found: found.bytes)
    name = file.precision
    sparsity = f"{report.sparsity['prunable']:.1%} of the prunable weights are zero"
    found = [
        f"{sparsity} ({report.sparsity['model']:.1%} of all).",
        f"Size: {_capital(_size_of(file))}",
    ]
    for batch in report.latency[:1]:
        ratio = _ratio(batch, f"{ONNX} ticket {name}")
        if ratio:
            found.append(f"Speed: {_capital(_speed_of(batch, name, ratio))}")
    for comparison in _by_sparsity(report):
        if comparison.of == f"{ONNX} ticket {name}":
            names = f"The {name} ticket against the dense {name} file"
            found.append(f"Accuracy: {_accuracy_of(comparison, names)}")
    return found


def _size_of(file: FileSize) -> str:
    share = f"the {file.precision} ticket file is {file.of_dense_fp32:.1%} of the dense fp32 file"
    saved = 1 - file.of_dense_same_precision
    change = f"{saved:.1%} smaller" if saved >= 0 else f"{-saved:.1%} larger"
    if file.precision == "fp32":
        return f"{share}; all of the difference is sparsity ({change})."
    without = file.of_dense_fp32 / file.of_dense_same_precision
    return (
        f"{share}; the same precision without sparsity is {without:.1%}. Sparsity makes the "
        f"{file.precision} file {change}."
    )


def _size(report: Report) -> list[str]:
    files = report.size.tickets
    found = [_capital(_size_of(file)) for file in files]
    rest = max(files, key=lambda file: file.container / file.bytes)
    bound = max(files, key=lambda file: (file.formula - file.entropy_bound) / file.formula)
    found.append(
        "The weights in every file have, to the byte, the size that the formula gives. What is not "
        f"weights (graph, names, answers, tokenizer) is at most {rest.container / rest.bytes:.1%} "
        f"of a ticket file ({rest.precision}). {_bound(bound)}"
    )
    size = {other.name: other.bytes for other in report.size.other_formats}
    bitmask = size["ticket, bitmask"]
    found.append(
        f"The ticket in fp32, by format: {megabytes(size['ticket, safetensors'])} as plain "
        f"safetensors, which keeps the zeros; {megabytes(size['ticket, safetensors zipped'])} "
        f"zipped; {megabytes(size['ticket, CSR'])} as CSR, {size['ticket, CSR'] / bitmask:.2f} "
        f"times the {megabytes(bitmask)} of bitmask and values."
    )
    return found


def _bound(file: FileSize) -> str:
    """What is left to gain, of the file that has most."""
    gain = 1 - file.entropy_bound / file.formula
    if gain < 0.0005:
        return "No code of the mask could make the weights even 0.1% smaller."
    return (
        f"A code of the mask at its entropy would make the weights at most {gain:.1%} smaller "
        f"({file.precision})."
    )


def _ratio(batch: LatencyOfBatch, of: str) -> Ratio | None:
    return next((ratio for ratio in batch.ratios if ratio.of == of), None)


def _as_fast(ratio: Interval) -> str:
    """ "same", "unsure" (too wide an interval to say so) or "other"."""
    off = max(abs(ratio.low - 1), abs(ratio.high - 1))
    if off <= _ALIKE or (includes(ratio, 1) and off <= _EQUAL):
        return "same"
    return "unsure" if includes(ratio, 1) else "other"


def _speed_of(batch: LatencyOfBatch, precision: str, ratio: Ratio) -> str:
    found = ratio.times_as_fast
    figures = f"(ratio {ratio_of(found)}; batch {batch.batch_size})"
    match _as_fast(found):
        case "same":
            return (
                f"it answers as fast as the dense {precision} file {figures}: sparsity of this "
                "kind does not make it faster."
            )
        case "unsure":
            return (
                f"no difference from the dense {precision} file is to be seen {figures}, but the "
                "interval is wide; a longer run (--seconds) makes it narrower."
            )
    how = "faster" if found.estimate > 1 else "slower"
    return (
        f"it measured {how} than the dense {precision} file {figures}. Both run the same dense "
        f"kernels on the same shapes, so no gain is claimed.{_control(batch)}"
    )


def _control(batch: LatencyOfBatch) -> str:
    control = next((ratio for ratio in batch.ratios if ratio.isolates == "control"), None)
    if control is None:
        return ""
    return f" The dense fp32 file against itself gave {ratio_of(control.times_as_fast)}."


def _speed(batch: LatencyOfBatch) -> Iterable[str]:
    by_verdict: dict[str, list[str]] = {"same": [], "unsure": [], "other": []}
    for ratio in (ratio for ratio in batch.ratios if ratio.isolates == "sparsity"):
        text = f"{ratio.of.replace(' ticket', '')}: {ratio_of(ratio.times_as_fast)}"
        by_verdict[_as_fast(ratio.times_as_fast)].append(text)
    size = f"Batch {batch.batch_size}"
    said = {verdict: "; ".join(texts) for verdict, texts in by_verdict.items()}
    if said["same"]:
        yield (
            f"{size}: the ticket answers as fast as the dense model of the same precision and "
            f"runtime, whose speed is 1 ({said['same']}). Sparsity of this kind does not make it "
            "faster."
        )
    if said["unsure"]:
        yield (
            f"{size}: no difference in speed from the dense model is to be seen, but the intervals "
            f"are wide ({said['unsure']}). A longer run (--seconds) makes them narrower."
        )
    if said["other"]:
        yield (
            f"{size}: the interval leaves out 1, the speed of the dense model ({said['other']}). "
            "Both run the same dense kernels on the same shapes, so this is no work saved by "
            f"sparsity.{_control(batch)}"
        )
    eager = _latency(batch, f"{EAGER} dense fp32")
    quickest = min(
        (found for found in batch.systems if found.system.model == "dense"), key=lambda it: it.p50
    )
    if eager and quickest.system.runtime in (ONNX, COMPILED):
        yield (
            f"{size}: of the dense models the quickest is {quickest.system.name}, "
            f"{milliseconds(quickest.p50)} at the median against {milliseconds(eager.p50)} of "
            f"{eager.system.name}. That is the work of runtime and precision, not of sparsity."
        )


def _latency(batch: LatencyOfBatch, name: str) -> Latency | None:
    return next((found for found in batch.systems if found.system.name == name), None)


def _loading(report: Report) -> list[str]:
    """Ticket and dense file by the same loader: what another loader brings is not sparsity's."""
    found = []
    by_case = {(it.model, it.precision, it.loader): it for it in report.loading}
    for ticket in (it for it in report.loading if it.model == "ticket"):
        dense = by_case["dense", ticket.precision, ticket.loader]
        loader = "Stock ONNX Runtime" if ticket.loader == "stock" else "lxcompress's decoder"
        found.append(
            f"{loader} loads the {ticket.precision} ticket in {_load(ticket)}, the dense "
            f"{ticket.precision} file in {_load(dense)}. {_verdict(ticket, dense)}"
        )
    return found


def _load(it: Loading) -> str:
    peak = megabytes(it.peak_bytes.median)
    return f"{duration(it.seconds.median)} (peak {peak})"


def _verdict(ticket: Loading, dense: Loading) -> str:
    first, second = ticket.seconds.samples, dense.seconds.samples
    if len(first) < _FEWEST_LOADS:
        return f"{len(first)} of each are too few to tell a difference."
    if min(first) <= max(second) and min(second) <= max(first):
        return f"The times of {len(first)} loads each overlap."
    gap = duration(abs(ticket.seconds.median - dense.seconds.median))
    slower = ticket.seconds.median > dense.seconds.median
    return f"Decoding costs {gap}." if slower else f"The ticket is ready {gap} earlier."


def _by_sparsity(report: Report) -> list[Comparison]:
    return [it for it in report.accuracy.comparisons if it.isolates == "sparsity"]


def _accuracy_of(comparison: Comparison, names: str) -> str:
    overall = comparison.by_type["overall"]
    assert overall
    difference, test = overall.difference, overall.mcnemar
    figures = f"{points(difference)}, McNemar's p {p_value(test.p)}"
    if test.neither == overall.questions and difference.low == difference.high == 0:
        verdict = f"neither answers any of {overall.questions:,} questions right; it tells nothing"
    elif includes(difference, 0):
        verdict = f"no difference that {overall.questions:,} questions can show"
    else:
        verdict = "the ticket is better" if difference.estimate > 0 else "the ticket is worse"
    return f"{names}: {figures}; {verdict}."


def _accuracy(report: Report) -> list[str]:
    found = [_accuracy_of(it, _pair(it)) for it in _by_sparsity(report)]
    for comparison in _by_sparsity(report):
        changed = [
            f"{kind} {points(it.difference)}"
            for kind, it in comparison.by_type.items()
            if it and kind != "overall" and not includes(it.difference, 0)
        ]
        if changed:
            found.append(f"By type, {_pair(comparison)}: {'; '.join(changed)}.")
    return found


def _pair(comparison: Comparison) -> str:
    of, against, runtime = pair(comparison.of, comparison.against)
    return f"{runtime}, {of} against {against}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
