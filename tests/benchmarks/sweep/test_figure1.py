"""Figure 1 shows the accuracies of the report, and can be read by colour-blind people."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_page import palettes
from simulated_sweep import FOUR_FAILED, changed, simulated_report

from benchmarks.report.svg import LIGHT
from benchmarks.sweep import figure1


@pytest.mark.parametrize("form", ["file", "narrow"])
def test_curves_are_means_and_bands_span_the_extremes(form: str) -> None:
    report = simulated_report(without=FOUR_FAILED)
    panels = figure1.draw(report, form, LIGHT, {}).axes
    titles = ["low-magnitude (the ticket)", "high-magnitude", "random"]
    assert [axes.get_title(loc="left") for axes in panels] == titles
    for axes, subnetwork in zip(panels, report.subnetworks, strict=True):
        dense, *lines = axes.get_lines()
        overall = [model.accuracy["overall"] or 0 for model in report.dense]
        assert dense.get_ydata()[0] == pytest.approx(np.mean(overall))
        for line, stage in zip(lines, figure1.STAGES, strict=True):
            for percent, drawn in zip(line.get_xdata(), line.get_ydata(), strict=True):
                cells = report.select(subnetwork, percent / 100)
                values = [getattr(cell, stage)["overall"] for cell in cells]
                assert drawn == pytest.approx(np.mean(values)) if values else np.isnan(drawn)
        band = axes.collections[0].get_paths()[0].vertices  # retrained
        values = [cell.retrained["overall"] or 0 for cell in report.select(subnetwork, 0.1)]
        heights = [y for x, y in band if x == pytest.approx(10)]
        assert (min(heights), max(heights)) == pytest.approx((min(values), max(values)))
        assert axes.get_xlim() == (0, 100) and axes.get_ylim()[0] == 0


def test_caption_names_subnetworks_with_missing_runs() -> None:
    report = simulated_report(without=FOUR_FAILED)
    assert "Some runs are missing: low-magnitude, high-magnitude." in figure1.caption(report)


def test_figure_file_is_small_white_and_deterministic() -> None:
    picture = Image.open(io.BytesIO(figure1.png(simulated_report())))
    assert len(figure1.png(simulated_report())) < 150_000
    assert 900 <= picture.width <= 1100
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert figure1.svg(simulated_report()) == figure1.svg(simulated_report())
    assert LIGHT.items() <= palettes()[0].items()


def test_control_is_a_line_of_its_own() -> None:
    report = simulated_report(control=True)
    controls = report.controls(0.5)
    mean = np.mean([accuracy["overall"] or 0 for accuracy in controls])
    for axes in figure1.draw(report, "file", LIGHT, {}).axes:
        (line,) = [it for it in axes.get_lines() if it.get_label() == f"control, {mean:.1f}"]
        assert line.get_ydata() == pytest.approx([mean, mean])
    assert "trained for as long" in figure1.caption(report)

    def iterate(figures: dict[str, Any]) -> None:
        figures["settings"]["schedule"] = "iterative"

    (axes, *_) = figure1.draw(changed(report, iterate), "file", LIGHT, {}).axes
    (line,) = [it for it in axes.get_lines() if it.get_label() == "control"]
    assert len(line.get_ydata()) == len(report.sparsities)


def test_figure_of_few_or_no_cells() -> None:
    for report in (
        simulated_report(sparsities=(0.5,), seeds=(0,)),
        simulated_report(subnetworks=("random",)),
        changed(
            simulated_report(), lambda figures: figures.update(cells=[], against_dense=[], dense=[])
        ),
    ):
        assert figure1.svg(report).count("<svg") == 1
        assert figure1.inline(report, "narrow").count("<svg") == 1
    assert "bands" not in figure1.caption(simulated_report(sparsities=(0.5,), seeds=(0,)))


# Simulation matrices for linear RGB: Machado, Oliveira & Fernandes, IEEE TVCG 15, 2009, severity 1.
_BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216]]
    + [[-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413]]
    + [[-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602]]
    + [[0.004733, 0.691367, 0.303900]],
}


def _lab(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """CIE 1976 L*a*b* of a colour as seen with the colour vision of `matrix`."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.maximum(to_xyz @ seen / (0.9505, 1, 1.089), 0.009))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("matrix", [np.eye(3).tolist(), *_BLINDNESS.values()])
def test_curves_are_distinguishable_with_colour_blindness(matrix: list[list[float]]) -> None:
    names = ["ink", *(colour for colour, _, _ in figure1.STAGES.values())]
    for palette in palettes():
        seen = [_lab(palette[name], matrix) for name in names]
        for at, first in enumerate(seen):
            for second in seen[at + 1 :]:
                assert np.linalg.norm(first - second) > 15
