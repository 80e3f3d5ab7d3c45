"""A map of the heads and neurons that a ticket's files have left, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from benchmarks.bench.schema import Units
from benchmarks.report.svg import COLOURS, WIDTHS

_ROW, _LINE, _TITLE = 0.34, 0.13, 0.32  # inches: of a layer, of a line of a header, of a title
_BAR = 0.82  # of a cell's width
_CHARACTERS = 10  # of a line of a header: "feed-forward" takes two
UNUSED = "unused"  # the last cross-modality layer has sublayers that no answer depends on


def draw_layer_map(units: Sequence[Units], form: str) -> Any:
    """A matplotlib Figure: a grid of layers and sublayers for each part of the model.

    The parts stand side by side in a "wide" drawing, and below each other in a "narrow" one.
    """
    from matplotlib.figure import Figure

    parts = by_part(units)
    rows = {part: len(layers(of_part)) for part, of_part in parts.items()}
    lines = {
        part: max(len(_header(*column)) for column in columns(of_part))
        for part, of_part in parts.items()
    }
    if form == "wide":  # all as high as the highest, so that their rows align
        rows = dict.fromkeys(parts, max(rows.values()))
        lines = dict.fromkeys(parts, max(lines.values()))
    heights = [_TITLE + _LINE * lines[part] + _ROW * rows[part] for part in parts]
    height = max(heights) if form == "wide" else sum(heights)
    figure = Figure(figsize=(WIDTHS[form], height), layout="constrained")
    if form == "wide":
        widths = [len(columns(of_part)) for of_part in parts.values()]
        panels = figure.subplots(1, len(parts), squeeze=False, width_ratios=widths)
    else:
        panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)
    for axes, (part, of_part) in zip(panels.flat, parts.items(), strict=True):
        _draw(axes, of_part)
        axes.set_title(part, loc="left")
        axes.set_ylim(rows[part] - 0.5, -0.5 - _LINE * lines[part] / _ROW)
    return figure


def _draw(axes: Any, units: Sequence[Units]) -> None:
    """One part of the model, a cell for each sublayer of each layer."""
    shown = {(it.layer, column(it)): it for it in units}
    for at, name in enumerate(columns(units)):
        header = "\n".join(_header(*name))
        axes.text(at, -0.5, header, va="bottom", fontsize=7.5, color=COLOURS["muted"])
        for row, layer in enumerate(layers(units)):
            cell = shown.get((layer, name))
            if cell is None:
                axes.text(at, row, UNUSED, va="center", fontsize=7.5, color=COLOURS["muted"])
                continue
            share = cell.left / cell.of
            axes.barh(row + 0.24, _BAR, left=at, height=0.2, color=COLOURS["grid"])
            axes.barh(row + 0.24, _BAR * share, left=at, height=0.2, color=COLOURS["ticket"])
            axes.text(at, row + 0.04, f"{cell.left:,}", va="bottom", fontsize=8)
    axes.set_yticks(range(len(layers(units))), [str(layer) for layer in layers(units)])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.05, len(columns(units)))


def by_part(units: Sequence[Units]) -> dict[str, list[Units]]:
    """The sublayers of each part of the model that has any."""
    parts = ("language", "vision", "cross-modality")
    found = {part: [it for it in units if it.part == part] for part in parts}
    return {part: of_part for part, of_part in found.items() if of_part}


def layers(units: Sequence[Units]) -> list[int]:
    """The layers of a part of the model."""
    return sorted({it.layer for it in units})


def columns(units: Sequence[Units]) -> list[tuple[str, int]]:
    """The sublayers of a part's layers, with their units in the dense model."""
    return list(dict.fromkeys(column(it) for it in units))


def column(units: Units) -> tuple[str, int]:
    """The column that a sublayer belongs to."""
    return units.sublayer, units.of


def _header(sublayer: str, total: int) -> list[str]:
    return [*wrap(sublayer, _CHARACTERS), f"of {total:,}"]
