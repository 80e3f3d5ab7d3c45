"""The tables of a report, as plain text in cells."""

from __future__ import annotations

from benchmarks.bench.findings.speed import PRUNING, STEPS, steps
from benchmarks.bench.plots.layer_map import UNUSED, by_part, column, columns, layers
from benchmarks.bench.schema import Comparison, Report
from benchmarks.bench.sizes import PARTS
from benchmarks.bench.systems import pair_name
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.numbers import (
    duration,
    megabytes,
    milliseconds,
    p_value,
    points,
    three_digits,
    with_interval,
)
from benchmarks.report.records import Samples
from benchmarks.report.sections import Table


def files(report: Report) -> Table:
    """Sizes of all files."""
    columns = ["file", "size", "of dense fp32", "of dense, same precision", "weights (formula)"]
    columns += ["entropy bound", "other than weights"]
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
    return Table("Exported files", columns, rows)


def parts(report: Report) -> Table:
    """Bytes of the weights by part of the model."""
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
    caption = "Weights by part of the model (share of the dense file of the same precision)"
    return Table(caption, ["part", *names], rows)


def formats(report: Report) -> Table:
    """fp32 sizes in other formats."""
    others = report.size.other_formats
    dense = others[0].bytes
    rows = [
        [other.name, megabytes(other.bytes), f"{other.bytes / dense:.1%}", other.how]
        for other in others
    ]
    caption = "Both models in fp32 in other formats, with the weights that never affect the answer"
    return Table(caption, ["format", "size", f"of {others[0].name}", "content"], rows, ["content"])


def units(report: Report) -> list[Table]:
    """The heads and neurons of each layer, a table for each part of the model."""
    tables = []
    for part, of_part in by_part(report.network.units).items():
        left = {(it.layer, column(it)): f"{it.left:,}" for it in of_part}
        rows = [
            [f"layer {layer}", *(left.get((layer, name), UNUSED) for name in columns(of_part))]
            for layer in layers(of_part)
        ]
        names = [f"{sublayer}, of {total:,}" for sublayer, total in columns(of_part)]
        tables.append(Table(f"Heads and neurons left, {part}", ["layer", *names], rows))
    return tables


def latencies(report: Report) -> list[Table]:
    """A table for each batch size."""
    tables = []
    for batch in report.latency:
        speedups = {
            ratio.of: with_interval(ratio.times_as_fast)
            for ratio in batch.ratios
            if ratio.isolates in (*PRUNING, "control")
        }
        rows = [
            [
                latency.system.name,
                milliseconds(latency.p50),
                milliseconds(latency.p90),
                milliseconds(latency.p99),
                three_digits(latency.questions_per_second),
                f"{len(latency.samples):,}",
                speedups.get(latency.system.name, ""),
            ]
            for latency in batch.systems
        ]
        columns = ["system", "p50", "p90", "p99", "questions/s", "runs"]
        columns.append("speedup over dense, same precision")
        tables.append(Table(f"Batch {batch.batch_size}", columns, rows))
    return tables


_COMPARED = {  # by what a step isolates: the two systems, where {} is a precision
    "runtime": "ONNX Runtime dense fp32 over PyTorch eager dense fp32",
    "precision": "ONNX Runtime dense {} over dense fp32",
    "structure": "ONNX Runtime ticket {0} over dense {0}",
    "sparsity": "ONNX Runtime ticket {0} over dense {0}",
    "all": "ONNX Runtime ticket {} over PyTorch eager dense fp32",
}


def attribution(report: Report) -> list[Table]:
    """From the dense model in PyTorch eager to each ticket file: what each step gained."""
    tables = []
    for file in report.size.tickets:
        by_batch = [steps(batch, file.precision) for batch in report.latency]
        rows = [
            [
                STEPS[name],
                text.format(file.precision),
                *(with_interval(ratios[name].times_as_fast) for ratios in by_batch),
            ]
            for name, text in _COMPARED.items()
            if name in by_batch[0]
        ]
        batches = [f"batch {batch.batch_size}" for batch in report.latency]
        caption = f"Speedup of the {file.precision} ticket, step by step"
        tables.append(Table(caption, ["step", "speedup of", *batches], rows, ["speedup of"]))
    return tables


def loads(report: Report) -> Table:
    """Load time and memory."""
    rows = [
        [
            loading.file,
            "ONNX Runtime" if loading.loader == "stock" else "lxcompress",
            _seconds(loading.seconds),
            megabytes(loading.peak_bytes.median),
            megabytes(loading.kept_bytes.median),
        ]
        for loading in report.loading
    ]
    count = len(report.loading[0].seconds.samples)
    caption = "One load of each"
    if count > 1:
        caption = f"Median of {count} loads of each, with the fastest and the slowest"
    columns = ["file", "loader", "time", "peak memory", "memory after loading"]
    return Table(caption, columns, rows, ["loader"])


def _seconds(samples: Samples) -> str:
    low, high = min(samples.samples), max(samples.samples)
    ends = f" ({duration(low)} to {duration(high)})" if low < high else ""
    return duration(samples.median) + ends


def accuracies(report: Report) -> Table:
    """Every system by answer type."""
    accuracy = report.accuracy
    rows = [
        [
            of_system.system.name,
            *(with_interval(it) if it else "none" for it in of_system.accuracy.values()),
        ]
        for of_system in accuracy.systems
    ]
    caption = f"{accuracy.metric}, %, with {CONFIDENCE:.0%} confidence intervals"
    return Table(caption, ["system", *accuracy.systems[0].accuracy], rows)


def comparisons(report: Report) -> Table:
    """All pairs, over all questions."""
    rows = []
    for comparison in report.accuracy.comparisons:
        overall = comparison.by_type["overall"]
        assert overall
        test = overall.mcnemar
        rows.append(
            [
                pair_name(report, comparison, "−"),
                comparison.isolates,
                points(overall.difference, unit=""),
                f"{test.only_of:,} / {test.only_against:,}",
                p_value(test.p).removeprefix("= "),
                f"{comparison.same_answers:.2%}",
            ]
        )
    columns = [
        "pair",
        "differ in",
        "difference, points",
        "correct: only first / second",
        "McNemar's p",
    ]
    return Table("Paired comparisons, overall", [*columns, "same answer"], rows, ["differ in"])


def by_type(report: Report) -> Table:
    """Pairs that differ in pruning alone, or in the length of training alone."""
    chosen = [it for it in report.accuracy.comparisons if it.isolates in ("pruning", "training")]
    answer_types = [name for name in chosen[0].by_type if name != "overall"]
    rows = [
        [pair_name(report, it, "−"), *(_difference(it, name) for name in answer_types)]
        for it in chosen
    ]
    effect = "pruning and of longer training" if report.dense_control else "pruning"
    caption = f"Effect of {effect} by answer type, percentage points"
    return Table(caption, ["pair", *answer_types], rows)


def _difference(comparison: Comparison, answer_type: str) -> str:
    paired = comparison.by_type[answer_type]
    if paired is None:
        return "none"
    p = p_value(paired.mcnemar.p).removeprefix("= ")
    return f"{points(paired.difference, unit='')}, p {p}"
