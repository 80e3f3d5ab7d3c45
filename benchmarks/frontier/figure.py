"""Accuracy over latency: every file is a point, the frontier a line. One panel for each batch size.

The colour is the pattern, the marker the precision. Up and to the left is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.frontier.schema import DENSE, Frontier, Point
from benchmarks.report.drawing import Drawing, Style
from benchmarks.report.svg import WIDTHS, themed
from lxcompress.choices import Pattern

_COLOURS = {  # of a pattern; N:M has the one of 2:4
    DENSE: "dense",
    Pattern.UNSTRUCTURED: "mask",
    Pattern.STRUCTURED: "ticket",
    Pattern.N_OF_M: "ink",
}
_MARKERS = {"fp32": "o", "fp16": "s", "int8": "^"}
_WIDTHS = {**WIDTHS, "file": 7.2}  # inches
_ROW_HEIGHT, _PANEL_HEIGHT, _LEGEND_HEIGHT = 3.6, 2.8, 0.6  # inches
_LABEL_WIDTH = 0.1  # on the axis of latency; files of a run that are closer share a label


def caption(found: Frontier) -> str:
    """Return the caption as plain text."""
    return (
        f"Overall accuracy on {found.questions:,} questions over latency, relative to the dense "
        "fp32 file of the same run in the same rounds. Up and to the left is better. The line is "
        "the frontier: no other file is both as fast and more accurate."
    )


def png(found: Frontier) -> bytes:
    """Return the content of frontier.png."""
    return _drawing(found).png()


def svg(found: Frontier) -> str:
    """Return the content of frontier.svg; text is drawn as paths, independent of fonts."""
    return _drawing(found).svg()


def inline(found: Frontier, form: str) -> str:
    """Return an <svg> for the page, in the form "wide" or "narrow" (for phones)."""
    return _drawing(found).inline(form, caption(found))


def _drawing(found: Frontier) -> Drawing:
    return Drawing("frontier", partial(draw, found))


def draw(found: Frontier, form: str, colours: Mapping[str, str], style: Style) -> Any:
    """Return a matplotlib Figure; its panels form a row, or in the form "narrow" a column."""
    import matplotlib
    from matplotlib.figure import Figure

    sizes, row = found.batch_sizes, form != "narrow"
    height = _ROW_HEIGHT if row else _LEGEND_HEIGHT + _PANEL_HEIGHT * len(sizes)
    with matplotlib.rc_context({**themed(colours), **style}):
        figure = Figure(figsize=(_WIDTHS[form], height), layout="constrained")
        shape = (1, len(sizes)) if row else (len(sizes), 1)
        panels = figure.subplots(*shape, sharey=True, squeeze=False).ravel()
        for axes, size in zip(panels, sizes, strict=True):
            _draw(axes, found, size, colours)
        for axes in panels if row else panels[-1:]:
            axes.set_xlabel("latency / that of dense fp32")
        for axes in panels[:1] if row else panels:
            axes.set_ylabel("accuracy, %")
        handles, labels = _legend(found, colours)
        figure.legend(
            handles,
            labels,
            loc="outside upper left",
            ncols=8 if row else 3,
            frameon=False,
            handlelength=1.2,
            handletextpad=0.4,
            columnspacing=1.2,
        )
    return figure


def _draw(axes: Any, found: Frontier, size: int, colours: Mapping[str, str]) -> None:
    best = found.frontier(size)
    axes.step(
        [point.relative(size) for point in best],
        [point.accuracy.estimate for point in best],
        where="post",
        color=colours["muted"],
        linewidth=1.2,
        zorder=1,
    )
    for point in found.points:
        on_frontier = point in best
        colour = colours[_COLOURS[_kind(point)]]
        axes.plot(
            [point.relative(size)],
            [point.accuracy.estimate],
            marker=_MARKERS[point.precision],
            markersize=6,
            linestyle="",
            color=colour,
            markerfacecolor=colour if on_frontier else "none",
            zorder=3 if on_frontier else 2,
        )
    labelled: dict[str, float] = {}  # latency of the last labelled file, by run
    for point in best:
        at = point.relative(size)
        if point.pattern != DENSE and at - labelled.get(point.run, -1) > _LABEL_WIDTH:
            labelled[point.run] = at
            axes.annotate(
                f"{point.sparsity:.0%}",
                (at, point.accuracy.estimate),
                (-4, 4),  # where the line does not pass
                textcoords="offset points",
                ha="right",
                fontsize=7.5,
                color=colours["ink"],
            )
    axes.set_xlim(left=0)
    axes.margins(x=0.1, y=0.12)
    axes.set_title(f"Batch {size}", loc="left")
    axes.grid(linewidth=0.6)
    axes.set_axisbelow(True)


def _kind(point: Point) -> str:
    return DENSE if point.pattern == DENSE else Pattern.of(point.pattern)


def _legend(found: Frontier, colours: Mapping[str, str]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    entries = {}
    for point in found.points:
        colour = colours[_COLOURS[_kind(point)]]
        entries[point.pattern] = Line2D([], [], color=colour, linewidth=4)
    used = {point.precision for point in found.points}
    style: Style = {"linestyle": "", "color": colours["ink"], "markerfacecolor": "none"}
    entries |= {
        precision: Line2D([], [], marker=marker, **style)
        for precision, marker in _MARKERS.items()
        if precision in used
    }
    return list(entries.values()), list(entries)
