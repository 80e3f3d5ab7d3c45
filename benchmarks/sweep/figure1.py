"""Figure 1: accuracy against sparsity, one panel for each subnetwork.

As in the paper, it has four curves: unpruned, reset to initial weights, after pruning, retrained.
It is drawn as a file (PNG, SVG), and as an <svg> in the report's page with the page's colours.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.report.drawing import Drawing, Style
from benchmarks.report.svg import WIDTHS, themed
from benchmarks.sweep.schema import Cell, Report
from benchmarks.sweep.tables import NAMES, name_of
from lxcompress.choices import Schedule, Subnetwork
from lxcompress.result import Accuracy

STAGES = {  # of a cell: colour, marker, label
    "retrained": ("ticket", "o", "retrained"),
    "pruned": ("mask", "s", "after pruning"),
    "reset": ("dense", "^", "reset to initial weights"),
}
_WIDTHS = {**WIDTHS, "file": 6.4}  # inches
# Inches: the height of panels in a row; of each panel in a column, and of the legend above it.
_ROW_HEIGHT, _PANEL_HEIGHT, _LEGEND_HEIGHT = 3.0, 2.3, 0.6


def caption(report: Report) -> str:
    """Return the caption as plain text."""
    text = (
        "Figure 1: overall accuracy against sparsity (the fraction of the prunable weights that is "
        "pruned) for each subnetwork. Unpruned is the dense model."
    )
    if report.has_control:
        text += " The control is the dense model trained for as long in all as the tickets."
    seeds = len(report.dense)
    if seeds > 1:
        text += f" Lines are means over {seeds} seeds; bands range from the lowest to the highest."
    missing = [name_of(report, name) for name in report.subnetworks if _is_partial(report, name)]
    if missing:
        text += f" Some runs are missing: {', '.join(missing)}."
    return text


def _is_partial(report: Report, subnetwork: str) -> bool:
    seeds = len(report.seeds)
    return any(len(report.select(subnetwork, sparsity)) < seeds for sparsity in report.sparsities)


def png(report: Report) -> bytes:
    """Return the content of figure1.png."""
    return _drawing(report).png()


def svg(report: Report) -> str:
    """Return the content of figure1.svg; text is drawn as paths, independent of fonts."""
    return _drawing(report).svg()


def inline(report: Report, form: str) -> str:
    """Return an <svg> for the page, in the form "wide" or "narrow" (for phones)."""
    return _drawing(report).inline(form, caption(report))


def _drawing(report: Report) -> Drawing:
    return Drawing("figure1", partial(draw, report))


def draw(report: Report, form: str, colours: Mapping[str, str], style: Style) -> Any:
    """Return a matplotlib Figure; its panels form a row, or in the form "narrow" a column."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = report.subnetworks or list(NAMES)  # a report without any cell
    row = form != "narrow"
    height = _ROW_HEIGHT if row else _LEGEND_HEIGHT + _PANEL_HEIGHT * len(names)
    with matplotlib.rc_context({**themed(colours), **style}):
        # Enough space that the tick labels 100 and 0 of neighbouring panels do not touch.
        layout = ConstrainedLayoutEngine(wspace=0.06 if row else None)
        figure = Figure(figsize=(_WIDTHS[form], height), layout=layout)
        shape = (1, len(names)) if row else (len(names), 1)
        panels = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, subnetwork in zip(panels, names, strict=True):
            _draw(axes, report, subnetwork, colours)
        panels[0].set_xlim(0, 100)
        panels[0].set_xticks(range(0, 101, 20))
        panels[0].set_ylim(0, _top(report))
        for axes in panels if row else panels[-1:]:
            axes.set_xlabel("sparsity, %")
        for axes in panels[:1] if row else panels:
            axes.set_ylabel("accuracy, %")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside upper left",
            ncols=4 if row else 2,
            frameon=False,
            handlelength=1.8,
            columnspacing=1.3,
        )
    return figure


def _draw(axes: Any, report: Report, subnetwork: str, colours: Mapping[str, str]) -> None:
    dense = [value for model in report.dense if (value := model.accuracy["overall"]) is not None]
    if dense:
        ink = colours["ink"]
        axes.axhspan(min(dense), max(dense), color=ink, alpha=0.12, linewidth=0)
        label = f"unpruned, {statistics.mean(dense):.1f}"
        axes.axhline(
            statistics.mean(dense), color=ink, linewidth=1.3, linestyle=(0, (4, 2)), label=label
        )
    percents = [100 * sparsity for sparsity in report.sparsities]
    if report.has_control:
        _draw_control(axes, report, colours["ink"])
    for order, (stage, (name, marker, label)) in enumerate(STAGES.items()):
        accuracies = [
            _values(report.select(subnetwork, sparsity), stage) for sparsity in report.sparsities
        ]
        # A missing cell breaks the line; it is not interpolated.
        low, middle, high = (
            [function(values) if values else math.nan for values in accuracies]
            for function in (min, statistics.mean, max)
        )
        colour = colours[name]
        axes.fill_between(percents, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            percents,
            middle,
            color=colour,
            marker=marker,
            markersize=4.5,
            linewidth=1.8,
            label=label,
            clip_on=False,
            zorder=5 - order,  # retrained on top
        )
    ticket = " (the ticket)" if subnetwork == Subnetwork.LOW else ""
    axes.set_title(name_of(report, subnetwork) + ticket, loc="left")
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_control(axes: Any, report: Report, colour: str) -> None:
    """Draw a line, which by the iterative schedule has a step at each sparsity."""
    values = [_mean(report.controls(sparsity)) for sparsity in report.sparsities]
    style = {"color": colour, "linewidth": 1.3, "linestyle": (0, (1, 1.5))}
    if report.settings.get("schedule", Schedule.PAPER) == Schedule.PAPER:
        control = next(value for value in values if not math.isnan(value))
        axes.axhline(control, label=f"control, {control:.1f}", **style)
    else:
        percents = [100 * sparsity for sparsity in report.sparsities]
        axes.plot(percents, values, label="control", marker="D", markersize=3, **style)


def _mean(accuracies: list[Accuracy]) -> float:
    values = [value for accuracy in accuracies if (value := accuracy["overall"]) is not None]
    return statistics.mean(values) if values else math.nan


def _values(cells: list[Cell], stage: str) -> list[float]:
    return [value for cell in cells if (value := getattr(cell, stage)["overall"]) is not None]


def _top(report: Report) -> float:
    """The end of the accuracy axis: the multiple of 10 above the best accuracy, at most 102."""
    found = [model.accuracy["overall"] or 0 for model in report.dense]
    found += [cell.control.accuracy["overall"] or 0 for cell in report.cells if cell.control]
    found += [getattr(cell, stage)["overall"] or 0 for cell in report.cells for stage in STAGES]
    return min(102, 10 * math.ceil((max(found, default=98) + 2) / 10))
