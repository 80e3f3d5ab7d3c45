"""Drawings take colours, fonts and names from the page that shows them."""

import re

import matplotlib
import pytest
from matplotlib.figure import Figure
from report_page import Page, palettes

from benchmarks.report.svg import COLOURS, STYLE, for_page, svg_file


@pytest.fixture(scope="module")
def drawing() -> str:
    """An SVG file with text, a line, a marker (used by reference) and a clipped area."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "test"}):
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "o", color=COLOURS["ticket"])
        axes.fill_between([0, 1], [0, 1], color=COLOURS["dense"])
        axes.set_title("A title")
        return svg_file(figure)


def test_the_file_is_the_same_every_time(drawing: str) -> None:
    assert "<dc:date>" not in drawing and "Matplotlib" not in drawing


def test_colours_are_variables_of_the_page(drawing: str) -> None:
    svg = for_page(drawing, "plot", "wide", "A caption")
    used = set(re.findall(r"var\(--(\w+)\)", svg))
    assert {"ticket", "dense", "ink", "font"} <= used <= {*COLOURS, "font"}
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    for palette in palettes():
        assert COLOURS.keys() <= palette.keys()


def test_ids_of_two_drawings_differ(drawing: str) -> None:
    both = for_page(drawing, "a", "wide", "") + for_page(drawing, "b", "narrow", "")
    page = Page(both)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = [value[1:] for name, value in page.attributes if name == "href"]
    links += re.findall(r"url\(#([^)]*)\)", both)
    assert links and set(links) <= set(ids)


def test_a_drawing_is_an_image_with_a_label(drawing: str) -> None:
    svg = for_page(drawing, "plot", "narrow", 'A "quoted" <caption>')
    assert svg.startswith(
        '<svg class="narrow" role="img" aria-label="A &quot;quoted&quot; &lt;caption&gt;" viewBox='
    )
    assert "xmlns" not in svg and "<metadata>" not in svg
    assert ">A title</text>" in svg
