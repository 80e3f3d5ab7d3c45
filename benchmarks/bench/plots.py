"""The report's plots as SVG that takes its colours from the page and its text as text.

matplotlib draws with stand-in colours; each becomes a CSS variable of
benchmarks/report/page.html, so that one picture serves light and dark. Every plot is drawn for a
wide page and for a phone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.bench.latency import CONTROL
from benchmarks.bench.schema import Accuracy, Latency, Report
from benchmarks.report.numbers import megabytes
from benchmarks.report.svg import COLOURS, STYLE, WIDTHS, for_page

LEGENDS = {
    "size": {
        "mask": "mask",
        "values": "values that stay",
        "unpruned": "unpruned weights and scales",
        "container": "graph, names, answers",
    },
    "latency": {"dense": "dense", "ticket": "ticket"},
    "accuracy": {"dense": "dense", "ticket": "ticket"},
}
CAPTIONS = {
    "size": "Size of each file, MB. At the bars: share of the dense fp32 file.",
    "latency": "Milliseconds from arrays to logits: dot the median, thick line to the 90th, thin "
    "line to the 99th percentile. Left is faster.",
    "accuracy": "Accuracy, %, with its 95% interval. Right is better. Each panel has its "
    "own scale.",
}
_ROW, _EDGES = 0.3, 0.55  # inches: of a row, and of axis and title together


def plot(report: Report, name: str, form: str) -> str:
    """An <svg> of the plot `name` ("size", "latency", "accuracy"), "wide" or "narrow"."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"{name}-{form}"}):
        heights = _heights(report)[name]
        size = (WIDTHS[form], sum(heights))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        _DRAW[name](report, list(axes))
        for one in axes:
            one.grid(axis="x", linewidth=0.6)
            one.set_axisbelow(True)
            one.invert_yaxis()
        written = io.StringIO()
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None, "Creator": None})
    return for_page(written.getvalue(), f"{name}-{form}", form, CAPTIONS[name])


def _heights(report: Report) -> dict[str, list[float]]:
    """Inches of each panel of each plot."""
    rows: dict[str, list[float]] = {
        "size": [len(report.size.files)],
        "latency": [len(_groups(batch.systems)) * 1.3 for batch in report.latency],
        "accuracy": [1.3 * len(_groups(report.accuracy.systems)) for _ in _kinds(report)],
    }
    return {name: [_EDGES + _ROW * count for count in counts] for name, counts in rows.items()}


def _draw_size(report: Report, axes: list[Any]) -> None:
    (one,) = axes
    for row, file in enumerate(report.size.files):
        left, weights = 0.0, file.weights
        for kind, size in (
            ("mask", weights.mask),
            ("values", weights.values),
            ("unpruned", weights.unpruned + weights.scales),
            ("container", file.container),
        ):
            one.barh(row, size / 1e6, left=left, height=0.62, color=COLOURS[kind])
            left += size / 1e6
        text = f"{megabytes(file.bytes).removesuffix(' MB')} · {file.of_dense_fp32:.1%}"
        one.annotate(
            text, (left, row), (4, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    one.set_yticks(
        range(len(report.size.files)),
        [f"{file.model} {file.precision}" for file in report.size.files],
    )
    one.set_xlim(0, 1.3 * max(file.bytes for file in report.size.files) / 1e6)
    one.set_xlabel("MB")


def _draw_latency(report: Report, axes: list[Any]) -> None:
    for one, batch in zip(axes, report.latency, strict=True):
        groups = _groups(batch.systems)
        for row, found in enumerate(groups.values()):
            for it in found:
                place, colour = row + _offset(it, found), COLOURS[it.system.model]
                one.plot([1e3 * it.p90, 1e3 * it.p99], [place] * 2, color=colour, linewidth=1)
                one.plot([1e3 * it.p50, 1e3 * it.p90], [place] * 2, color=colour, linewidth=3)
                one.plot([1e3 * it.p50], [place], "o", color=colour, markersize=6)
        _name_rows(one, groups)
        one.set_xlim(left=0)
        one.set_title(f"Batch {batch.batch_size}", loc="left")
    axes[-1].set_xlabel("ms")


def _draw_accuracy(report: Report, axes: list[Any]) -> None:
    groups = _groups(report.accuracy.systems)
    for one, kind in zip(axes, _kinds(report), strict=True):
        for row, found in enumerate(groups.values()):
            for it in found:
                interval = it.accuracy[kind]
                assert interval
                place, colour = row + _offset(it, found), COLOURS[it.system.model]
                ends = [interval.low, interval.high]
                one.plot(ends, [place] * 2, color=colour, linewidth=2, clip_on=False)
                dot = {"color": colour, "markersize": 6, "clip_on": False}
                one.plot([interval.estimate], [place], "o", **dot)
        _name_rows(one, groups)
        _bound_to_percent(one)
        one.set_title(kind, loc="left")
    axes[-1].set_xlabel("accuracy, %")


_DRAW: dict[str, Callable[[Report, list[Any]], None]] = {
    "size": _draw_size,
    "latency": _draw_latency,
    "accuracy": _draw_accuracy,
}


def _kinds(report: Report) -> list[str]:
    """Those that the data have."""
    return [kind for kind, it in report.accuracy.systems[0].accuracy.items() if it]


def _groups(systems: Iterable[Any]) -> dict[str, list[Any]]:
    """Dense and ticket of one runtime and precision, which share a row."""
    found: dict[str, list[Any]] = {}
    for it in systems:
        runtime = it.system.runtime.replace("ONNX Runtime", "ONNX").replace("PyTorch ", "PyTorch\n")
        if it.system.runtime != CONTROL:
            found.setdefault(f"{runtime} {it.system.precision}", []).append(it)
    return found


def _offset(it: Latency | Accuracy, group: list[Any]) -> float:
    if len(group) == 1:
        return 0
    return -0.17 if it.system.model == "dense" else 0.17


def _name_rows(axes: Any, groups: dict[str, list[Any]]) -> None:
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(-0.6, len(groups) - 0.4)


def _bound_to_percent(axes: Any) -> None:
    """At least a point wide, where all systems are equal, and no share below 0 or above 100."""
    low, high = axes.get_xlim()
    more = max(1 - (high - low), 0) / 2
    axes.set_xlim(max(low - more, 0), min(high + more, 100))
