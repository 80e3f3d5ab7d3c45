"""Sentences on a model without a ticket: its files of lower precision, and PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench.findings import accuracy, speed
from benchmarks.bench.findings.loading import describe_load, load_difference
from benchmarks.bench.findings.size import container
from benchmarks.bench.schema import Comparison, FileSize, LatencyOfBatch, Precision, Report, System
from benchmarks.bench.systems import COMPILED, EAGER, ONNX
from benchmarks.report.numbers import large, megabytes, milliseconds


def findings(report: Report) -> dict[str, list[str]]:
    """Sentences by subject; there is none on structure."""
    return {
        "summary": list(_summary(report)),
        "size": list(_size(report)),
        "structure": [],
        "speed": list(_speed(report)),
        "loading": list(_loading(report)),
        "accuracy": list(_accuracy(report)),
    }


def _summary(report: Report) -> Iterator[str]:
    """The smallest file, and the first batch size."""
    file = min(report.size.files, key=lambda it: it.bytes)
    yield f"Size: {_size_of(file)}"
    for sentence in _speed_of(report.latency[0], file.precision):
        yield f"Speed: {sentence}"
    for comparison in _by_precision(report):
        if comparison.of == System.of(ONNX, "dense", file.precision).name:
            yield f"Accuracy: {_accuracy_of(comparison, file.precision)}"
    if report.accuracy is None:
        yield f"Accuracy: {_not_measured(report)}"
        yield f"Answers: {_same_answers(report, file.precision)}"


def _size(report: Report) -> Iterator[str]:
    yield from (_size_of(file) for file in report.size.files if file.precision != "fp32")
    yield container(report.size.files, "a file")
    plain, zipped = report.size.other_formats
    yield (
        f"The model's own weights ({plain.name.partition(', ')[2]}) take "
        f"{megabytes(plain.bytes)}, zipped {megabytes(zipped.bytes)}."
    )


def _size_of(file: FileSize) -> str:
    if file.precision == "fp32":
        return f"The fp32 file takes {megabytes(file.bytes)}."
    return (
        f"The {file.precision} file takes {megabytes(file.bytes)}, {file.of_dense_fp32:.1%} of the "
        "size of the fp32 file."
    )


def _speed(report: Report) -> Iterator[str]:
    network = report.network
    yield (
        f"A question of {network.tokens} tokens about {network.regions} regions takes "
        f"{large(network.dense)} multiply-adds in every file and in PyTorch."
    )
    for batch in report.latency:
        for file in report.size.files:
            yield from _speed_of(batch, file.precision)
        yield from _compiled(batch)


def _compiled(batch: LatencyOfBatch) -> Iterator[str]:
    """PyTorch compiled beside PyTorch eager, where it was timed."""
    medians = {it.system: it.p50 for it in batch.systems}
    for system, median in medians.items():
        if system.runtime == COMPILED:
            eager = System.of(EAGER, system.model, system.precision)
            yield (
                f"{system.name} has a median of {milliseconds(median)}, {eager.name} of "
                f"{milliseconds(medians[eager])} (batch {batch.batch_size})."
            )


def _speed_of(batch: LatencyOfBatch, precision: Precision) -> Iterator[str]:
    """A file against PyTorch, and what of it comes from the precision."""
    if precision != "fp32":
        yield from speed.attribution(batch, precision)
        return
    for ratio in speed.steps(batch, precision).values():
        yield (
            "The fp32 file in ONNX Runtime against the same model in PyTorch eager: "
            f"{speed.figures(ratio.times_as_fast)} (batch {batch.batch_size})"
            f"{speed.note(ratio.times_as_fast)}.{speed.control(batch)}"
        )


def _loading(report: Report) -> Iterator[str]:
    """Each file and the fp32 file by the same loader."""
    by_case = {(it.precision, it.loader): it for it in report.loading}
    for it in report.loading:
        if it.precision != "fp32" and ("fp32", it.loader) in by_case:
            fp32 = by_case["fp32", it.loader]
            loader = "Stock ONNX Runtime" if it.loader == "stock" else "lxcompress's decoder"
            yield (
                f"{loader} loads the {it.precision} file in {describe_load(it)}, the fp32 file in "
                f"{describe_load(fp32)}. {load_difference(it, fp32, f'The {it.precision} file')}"
            )


def _accuracy(report: Report) -> Iterator[str]:
    if report.accuracy is None:
        yield f"Accuracy is {_not_measured(report)}"
    for comparison in _by_precision(report):
        precision = _precision_of(report, comparison.of)
        yield _accuracy_of(comparison, precision)
        yield from accuracy.by_answer_type(comparison, f"{precision} against fp32")
    for file in report.size.files:
        yield _same_answers(report, file.precision)


def _by_precision(report: Report) -> list[Comparison]:
    comparisons = report.accuracy.comparisons if report.accuracy else []
    return [it for it in comparisons if it.isolates == "precision"]


def _precision_of(report: Report, system: str) -> Precision:
    assert report.accuracy is not None
    return next(it.system.precision for it in report.accuracy.systems if it.system.name == system)


def _accuracy_of(comparison: Comparison, precision: Precision) -> str:
    return accuracy.accuracy_of(comparison, f"{precision} against fp32", precision)


def _not_measured(report: Report) -> str:
    if report.dataset is None:
        return (
            "not measured, because nobody knows the right answers to generated questions; give "
            "--data, a dataset, to measure it."
        )
    return "not measured, because the questions of the dataset have no annotated answers."


def _same_answers(report: Report, precision: Precision) -> str:
    agreement = report.agreement
    share = agreement.same_answers[System.of(ONNX, "dense", precision).name]
    generated = "generated " if report.dataset is None else ""
    return (
        f"The {precision} file gives the same answer as {EAGER} in fp32 to {share:.2%} of "
        f"{agreement.questions:,} {generated}questions."
    )
