"""The tables of a report, as plain text in cells."""

from __future__ import annotations

from benchmarks.bench.schema import Comparison, Report, Samples
from benchmarks.bench.sizes import PARTS
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.numbers import (
    duration,
    megabytes,
    milliseconds,
    p_value,
    pair,
    points,
    ratio_of,
    signed,
    three_digits,
)
from benchmarks.report.sections import Table


def files(report: Report) -> Table:
    """Sizes of every file."""
    columns = ["file", "size", "of dense fp32", "of dense, same precision", "weights (formula)"]
    columns += ["entropy bound", "not weights"]
    rows = [
        [
            file.file,
            megabytes(file.bytes),
            f"{file.of_dense_fp32:.1%}",
            f"{file.of_dense_same_precision:.1%}",
            megabytes(file.formula),
            megabytes(file.entropy_bound),
            megabytes(file.container),
        ]
        for file in report.size.files
    ]
    return Table("Every exported file", columns, rows)


def parts(report: Report) -> Table:
    """Where the weights of each file lie in the model."""
    files = report.size.files
    rows = []
    for part in PARTS:
        by_file = {(file.model, file.precision): file.parts[part].total for file in files}
        row = [part]
        for (model, precision), size in by_file.items():
            share = size / by_file["dense", precision] if by_file["dense", precision] else 1
            row.append(megabytes(size) + (f" ({share:.0%})" if model == "ticket" else ""))
        rows.append(row)
    names = [f"{file.model} {file.precision}" for file in files]
    caption = "Weights by part of the model (of the dense file of the same precision)"
    return Table(caption, ["part", *names], rows)


def formats(report: Report) -> Table:
    """fp32 in other formats."""
    others = report.size.other_formats
    dense = others[0].bytes
    rows = [
        [other.name, megabytes(other.bytes), f"{other.bytes / dense:.1%}", other.how]
        for other in others
    ]
    caption = "The same in fp32, in other formats, with weights that never reach the answer"
    return Table(caption, ["format", "size", f"of {others[0].name}", "how"], rows, ["how"])


def latencies(report: Report) -> list[Table]:
    """A table for each batch size."""
    found = []
    for batch in report.latency:
        ratios = {ratio.of: ratio.times_as_fast for ratio in batch.ratios}
        rows = [
            [
                it.system.name,
                milliseconds(it.p50),
                milliseconds(it.p90),
                milliseconds(it.p99),
                three_digits(it.questions_per_second),
                f"{len(it.samples):,}",
                ratio_of(ratios[it.system.name]) if it.system.name in ratios else "",
            ]
            for it in batch.systems
        ]
        columns = ["system", "p50", "p90", "p99", "questions/s", "runs", "speed of dense = 1"]
        found.append(Table(f"Batch {batch.batch_size}", columns, rows))
    return found


def loads(report: Report) -> Table:
    """Load time and memory."""

    def seconds(samples: Samples) -> str:
        low, high = min(samples.samples), max(samples.samples)
        ends = f" ({duration(low)} to {duration(high)})" if low < high else ""
        return duration(samples.median) + ends

    rows = [
        [
            it.file,
            "ONNX Runtime" if it.loader == "stock" else "lxcompress",
            seconds(it.seconds),
            megabytes(it.peak_bytes.median),
            megabytes(it.kept_bytes.median),
        ]
        for it in report.loading
    ]
    loads = len(report.loading[0].seconds.samples)
    caption = "One load each"
    if loads > 1:
        caption = f"Median of {loads} loads each; in brackets the quickest and the slowest"
    columns = ["file", "loaded by", "time", "peak memory", "memory afterwards"]
    return Table(caption, columns, rows, ["loaded by"])


def accuracies(report: Report) -> Table:
    """Every system by answer type."""
    accuracy = report.accuracy
    kinds = list(accuracy.systems[0].accuracy)
    rows = []
    for it in accuracy.systems:
        row = [it.system.name]
        for found in it.accuracy.values():
            row.append(
                f"{found.estimate:.2f} ({found.low:.2f}–{found.high:.2f})" if found else "none"
            )
        rows.append(row)
    return Table(f"{accuracy.metric}, %, with {CONFIDENCE:.0%} intervals", ["system", *kinds], rows)


def comparisons(report: Report) -> Table:
    """All pairs, over all questions."""
    rows = []
    for it in report.accuracy.comparisons:
        overall = it.by_type["overall"]
        assert overall
        test = overall.mcnemar
        rows.append(
            [
                _pair(it),
                it.isolates,
                points(overall.difference),
                f"{test.only_of:,} / {test.only_against:,}",
                p_value(test.p).removeprefix("= "),
                f"{it.same_answers:.2%}",
            ]
        )
    columns = ["pair", "differ in", "difference", "right: only first / second", "McNemar's p"]
    return Table("Paired comparisons, overall", [*columns, "same answer"], rows, ["differ in"])


def _pair(comparison: Comparison) -> str:
    of, against, runtime = pair(comparison.of, comparison.against)
    return f"{runtime}, {of} − {against}"


def by_type(report: Report) -> Table:
    """Pairs that differ in sparsity alone."""

    def cell(comparison: Comparison, kind: str) -> str:
        it = comparison.by_type[kind]
        if it is None:
            return "none"
        ends = f"{signed(it.difference.low)} to {signed(it.difference.high)}"
        p = p_value(it.mcnemar.p).removeprefix("= ")
        return f"{signed(it.difference.estimate)} ({ends}), p {p}"

    chosen = [it for it in report.accuracy.comparisons if it.isolates == "sparsity"]
    kinds = [kind for kind in chosen[0].by_type if kind != "overall"]
    rows = [[_pair(it), *(cell(it, kind) for kind in kinds)] for it in chosen]
    return Table("What sparsity changes by answer type, points", ["pair", *kinds], rows)
