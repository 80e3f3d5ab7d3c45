"""The report's plots, each drawn for a wide page and for a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from benchmarks.bench.plots.layer_map import draw_layer_map
from benchmarks.bench.schema import Accuracies, Accuracy, Latency, Report
from benchmarks.bench.systems import CONTROL
from benchmarks.report import html
from benchmarks.report.numbers import megabytes
from benchmarks.report.svg import COLOURS, STYLE, WIDTHS, for_page, svg_file

LEGENDS = {  # of each plot: colour of the page, label
    "size": {
        "mask": "mask",
        "values": "remaining values",
        "unpruned": "unpruned weights and scales",
        "container": "graph, names, answers, tokenizer",
    },
    "layers": {"ticket": "left in the ticket's files", "grid": "removed"},
    "latency": {"dense": "dense", "ticket": "ticket"},
    "accuracy": {"dense": "dense", "ticket": "ticket"},
}
_MODEL_LEGENDS = {  # without a ticket
    "size": {"unpruned": "weights and scales", "container": "graph, names, answers, tokenizer"},
}
CAPTIONS = {
    "size": "Size of each file in MB, and as a share of the dense fp32 file.",
    "layers": "Attention heads and feed-forward neurons left in each layer: their number, and as a "
    "bar their share. No answer depends on unused sublayers. The tables below give the same "
    "numbers.",
    "latency": "Latency from arrays to logits in ms. Dot: median; thick line: to the 90th "
    "percentile; thin line: to the 99th. Left is faster.",
    "accuracy": "Accuracy in % with 95% confidence intervals. Right is better. Each panel has its "
    "own scale.",
}
_OFFSETS = {"dense": -0.2, "dense control": 0.0, "ticket": 0.2}  # within a row
_ROW, _EDGES = 0.3, 0.55  # inches: one row, and axis and title together

Measured = TypeVar("Measured", Latency, Accuracy)
_Rows = Mapping[str, Sequence[Measured]]  # by label: dense and ticket of one runtime and precision


def figure(report: Report, name: str) -> str:
    """The <figure> of the plot `name` ("size", "layers", "latency", "accuracy")."""
    drawings = [plot(report, name, form) for form in WIDTHS]
    legend = LEGENDS[name] if report.has_ticket else _MODEL_LEGENDS.get(name)
    if name == "accuracy" and legend and report.dense_control:
        legend = {**legend, "control": "dense control"}
    return html.figure(CAPTIONS[name], drawings, legend)


def plot(report: Report, name: str, form: str) -> str:
    """The <svg> of a plot, "wide" or "narrow"."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"{name}-{form}"}):
        if name == "layers":
            drawing = draw_layer_map(report.network.units, form)
            description = " ".join(report.findings["structure"])
            return for_page(svg_file(drawing), f"{name}-{form}", form, CAPTIONS[name], description)
        heights = _heights(report)[name]
        drawing = Figure(figsize=(WIDTHS[form], sum(heights)), layout="constrained")
        panels = drawing.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        _DRAW[name](report, list(panels))
        for axes in panels:
            axes.grid(axis="x", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.invert_yaxis()
        svg = svg_file(drawing)
    return for_page(svg, f"{name}-{form}", form, CAPTIONS[name])


def _heights(report: Report) -> dict[str, list[float]]:
    """Inches of each panel of each plot."""
    rows: dict[str, list[float]] = {
        "size": [len(report.size.files)],
        "latency": [len(_rows(batch.systems)) * 1.3 for batch in report.latency],
    }
    if report.accuracy:
        row = 1.3 * len(_rows(report.accuracy.systems))
        rows["accuracy"] = [row for _ in _answer_types(report.accuracy)]
    return {name: [_EDGES + _ROW * count for count in counts] for name, counts in rows.items()}


def _draw_size(report: Report, panels: list[Any]) -> None:
    (axes,) = panels
    for row, file in enumerate(report.size.files):
        left, weights = 0.0, file.weights
        for kind, size in (
            ("mask", weights.mask),
            ("values", weights.values),
            ("unpruned", weights.unpruned + weights.scales),
            ("container", file.container),
        ):
            axes.barh(row, size / 1e6, left=left, height=0.62, color=COLOURS[kind])
            left += size / 1e6
        text = f"{megabytes(file.bytes).removesuffix(' MB')} · {file.of_dense_fp32:.1%}"
        axes.annotate(
            text, (left, row), (4, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    labels = [f"{file.model} {file.precision}" for file in report.size.files]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlim(0, 1.3 * max(file.bytes for file in report.size.files) / 1e6)
    axes.set_xlabel("MB")


def _draw_latency(report: Report, panels: list[Any]) -> None:
    for axes, batch in zip(panels, report.latency, strict=True):
        rows = _rows(batch.systems)
        for y, latency in _positions(rows):
            colour = COLOURS[latency.system.model]
            p50, p90, p99 = (1e3 * it for it in (latency.p50, latency.p90, latency.p99))
            axes.plot([p90, p99], [y, y], color=colour, linewidth=1)
            axes.plot([p50, p90], [y, y], color=colour, linewidth=3)
            axes.plot([p50], [y], "o", color=colour, markersize=6)
        _label_rows(axes, rows)
        axes.set_xlim(left=0)
        axes.set_title(f"Batch {batch.batch_size}", loc="left")
    panels[-1].set_xlabel("ms")


def _draw_accuracy(report: Report, panels: list[Any]) -> None:
    assert report.accuracy is not None
    rows = _rows(report.accuracy.systems)
    for axes, answer_type in zip(panels, _answer_types(report.accuracy), strict=True):
        for y, accuracy in _positions(rows):
            interval = accuracy.accuracy[answer_type]
            assert interval
            colour = COLOURS[accuracy.system.model.removeprefix("dense ")]
            style = {"color": colour, "clip_on": False}
            axes.plot([interval.low, interval.high], [y, y], linewidth=2, **style)
            axes.plot([interval.estimate], [y], "o", markersize=6, **style)
        _label_rows(axes, rows)
        _limit_to_percent(axes)
        axes.set_title(answer_type, loc="left")
    panels[-1].set_xlabel("accuracy, %")


_DRAW: dict[str, Callable[[Report, list[Any]], None]] = {
    "size": _draw_size,
    "latency": _draw_latency,
    "accuracy": _draw_accuracy,
}


def _answer_types(accuracy: Accuracies) -> list[str]:
    """Those that the data have, "overall" first."""
    first = accuracy.systems[0].accuracy
    return [answer_type for answer_type, interval in first.items() if interval]


def _rows(systems: Iterable[Measured]) -> _Rows[Measured]:
    rows: dict[str, list[Measured]] = {}
    for measured in systems:
        system = measured.system
        runtime = system.runtime.replace("ONNX Runtime", "ONNX").replace("PyTorch ", "PyTorch\n")
        if system != CONTROL:
            rows.setdefault(f"{runtime} {system.precision}", []).append(measured)
    return rows


def _positions(rows: _Rows[Measured]) -> Iterable[tuple[float, Measured]]:
    """The vertical position of each system; systems that share a row lie above each other."""
    for row, systems in enumerate(rows.values()):
        for measured in systems:
            yield row + (_OFFSETS[measured.system.model] if len(systems) > 1 else 0), measured


def _label_rows(axes: Any, rows: _Rows[Measured]) -> None:
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)


def _limit_to_percent(axes: Any) -> None:
    """At least one point wide, for equal systems, and within 0 to 100."""
    low, high = axes.get_xlim()
    more = max(1 - (high - low), 0) / 2
    axes.set_xlim(max(low - more, 0), min(high + more, 100))
