"""The most important sentences of a report, and all of them by subject."""

from __future__ import annotations

from benchmarks.bench.findings import accuracy, loading, model, size, speed, structure
from benchmarks.bench.schema import Report, System
from benchmarks.bench.systems import ONNX


def findings(report: Report) -> dict[str, list[str]]:
    """Sentences by subject, of which one may have none. Plain text, no markup.

    Two systems are said to differ only where the interval excludes equality. Nothing that comes
    from precision or from another runtime is attributed to pruning.
    """
    if not report.has_ticket:
        return model.findings(report)
    return {
        "summary": _summary(report),
        "size": size.size(report),
        "structure": structure.structure(report),
        "speed": [
            structure.multiply_adds(report),
            *(sentence for batch in report.latency for sentence in speed.speed(batch, report)),
        ],
        "loading": loading.loading(report),
        "accuracy": accuracy.accuracy(report),
    }


def _summary(report: Report) -> list[str]:
    """The smallest ticket file, and the first batch size."""
    assert report.sparsity is not None
    file = min(report.size.tickets, key=lambda ticket: ticket.bytes)
    precision, batch = file.precision, report.latency[0]
    ticket = System.of(ONNX, "ticket", precision).name
    return [
        f"{report.sparsity.prunable:.1%} of the prunable weights are zero "
        f"({report.sparsity.model:.1%} of all parameters).",
        f"Size: {size.size_of(file)}",
        *(
            f"Speed: {speed.speed_of(batch, precision, ratio, report.network)}"
            for ratio in batch.ratios
            if ratio.of == ticket and ratio.isolates in speed.PRUNING
        ),
        *(f"Requested speedup: {it}" for it in speed.requested(report)),
        *(f"Attribution of speed: {it}" for it in speed.attribution(batch, precision)),
        *(
            f"Accuracy: {accuracy.accuracy_of(it, f'{precision} ticket against dense {precision}')}"
            for it in accuracy.by_pruning(report)
            if it.of == ticket
        ),
        *accuracy.control(report),
    ]
