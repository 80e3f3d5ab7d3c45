"""The tables of a report, as plain text in cells."""

from __future__ import annotations

from benchmarks.bench.findings.speed import PRUNING, STEPS, steps
from benchmarks.bench.plots.layer_map import UNUSED, by_part, column, columns, layers
from benchmarks.bench.schema import Accuracies, Comparison, Report
from benchmarks.bench.sizes import PARTS
from benchmarks.bench.systems import EAGER, pair_name
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
    columns = {
        "size": lambda file: megabytes(file.bytes),
        "of dense fp32": lambda file: f"{file.of_dense_fp32:.1%}",
        "of dense, same precision": lambda file: f"{file.of_dense_same_precision:.1%}",
        "weights (formula)": lambda file: megabytes(file.formula),
        "entropy bound": lambda file: megabytes(file.entropy_bound),
        "other than weights": lambda file: megabytes(file.container),
    }
    if not report.has_ticket:  # nothing that only a mask changes
        del columns["of dense, same precision"], columns["entropy bound"]
    rows = [[file.file, *(cell(file) for cell in columns.values())] for file in report.size.files]
    return Table("Exported files", ["file", *columns], rows)


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
    caption = "Weights by part of the model"
    if report.has_ticket:
        caption += " (share of the dense file of the same precision)"
    return Table(caption, ["part", *names], rows)


def formats(report: Report) -> Table:
    """Sizes in other formats."""
    others = report.size.other_formats
    dense = others[0].bytes
    rows = [
        [other.name, megabytes(other.bytes), f"{other.bytes / dense:.1%}", other.how]
        for other in others
    ]
    models = "Both models in fp32 in other formats" if report.has_ticket else "The model's own file"
    caption = f"{models}, with the weights that never affect the answer"
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
    over, shown = "dense, same precision", {*PRUNING, "control"}
    if not report.has_ticket:
        over, shown = EAGER, {"runtime", "all"}
    for batch in report.latency:
        speedups = {
            ratio.of: with_interval(ratio.times_as_fast)
            for ratio in batch.ratios
            if ratio.isolates in shown
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
        columns.append(f"speedup over {over}")
        tables.append(Table(f"Batch {batch.batch_size}", columns, rows))
    return tables


_COMPARED = {  # by what a step isolates: the two systems, {0} is a precision, {1} a model
    "runtime": "ONNX Runtime dense fp32 over PyTorch eager dense fp32",
    "precision": "ONNX Runtime dense {0} over dense fp32",
    "structure": "ONNX Runtime ticket {0} over dense {0}",
    "sparsity": "ONNX Runtime ticket {0} over dense {0}",
    "all": "ONNX Runtime {1} {0} over PyTorch eager dense fp32",
}


def attribution(report: Report) -> list[Table]:
    """From the dense model in PyTorch eager to each ticket file: what each step gained.

    Without a ticket, to each file of another precision than fp32.
    """
    tables = []
    dense = [file for file in report.size.files if file.precision != "fp32"]
    for file in report.size.tickets or dense:
        by_batch = [steps(batch, file.precision) for batch in report.latency]
        rows = [
            [
                STEPS[name],
                text.format(file.precision, file.model),
                *(with_interval(ratios[name].times_as_fast) for ratios in by_batch),
            ]
            for name, text in _COMPARED.items()
            if name in by_batch[0]
        ]
        batches = [f"batch {batch.batch_size}" for batch in report.latency]
        kind = "ticket" if report.has_ticket else "file"
        caption = f"Speedup of the {file.precision} {kind}, step by step"
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


def answers(report: Report) -> list[Table]:
    """The accuracy of every system, and pairs of them; without it, equal answers."""
    if report.accuracy is None:
        return [same_answers(report)]
    tables = [_accuracies(report.accuracy)]
    if report.accuracy.comparisons:
        tables.append(_comparisons(report.accuracy))
        tables.append(by_type(report))
    return [*tables, same_answers(report)]


def same_answers(report: Report) -> Table:
    """How often each system answers as PyTorch's dense fp32."""
    agreement = report.agreement
    rows = [
        [name, f"{share:.2%}"]
        for name, share in agreement.same_answers.items()
        if name != agreement.against
    ]
    caption = f"Same answers as {agreement.against}, of {agreement.questions:,} questions"
    return Table(caption, ["system", "same answer"], rows)


def _accuracies(accuracy: Accuracies) -> Table:
    """Every system by answer type."""
    rows = [
        [
            of_system.system.name,
            *(with_interval(it) if it else "none" for it in of_system.accuracy.values()),
        ]
        for of_system in accuracy.systems
    ]
    caption = f"{accuracy.metric}, %, with {CONFIDENCE:.0%} confidence intervals"
    return Table(caption, ["system", *accuracy.systems[0].accuracy], rows)


def _comparisons(accuracy: Accuracies) -> Table:
    """All pairs, over all questions."""
    systems = [it.system for it in accuracy.systems]
    rows = []
    for comparison in accuracy.comparisons:
        overall = comparison.by_type["overall"]
        assert overall
        test = overall.mcnemar
        rows.append(
            [
                pair_name(comparison, systems, "−"),
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
    """Pairs that differ in pruning alone, or in the length of training alone.

    Without a ticket, pairs that differ in precision.
    """
    assert report.accuracy is not None
    kinds, effect = {"pruning", "training"}, "pruning"
    if not report.has_ticket:
        kinds, effect = {"precision"}, "precision"
    elif report.dense_control:
        effect = "pruning and of longer training"
    systems = [it.system for it in report.accuracy.systems]
    chosen = [it for it in report.accuracy.comparisons if it.isolates in kinds]
    answer_types = [name for name in chosen[0].by_type if name != "overall"]
    rows = [
        [pair_name(it, systems, "−"), *(_difference(it, name) for name in answer_types)]
        for it in chosen
    ]
    caption = f"Effect of {effect} by answer type, percentage points"
    return Table(caption, ["pair", *answer_types], rows)


def _difference(comparison: Comparison, answer_type: str) -> str:
    paired = comparison.by_type[answer_type]
    if paired is None:
        return "none"
    p = p_value(paired.mcnemar.p).removeprefix("= ")
    return f"{points(paired.difference, unit='')}, p {p}"
