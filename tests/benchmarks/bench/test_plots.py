"""The plots of a report: colours of the page, data that lack a type, and equal accuracies."""

import re
from typing import Any

import pytest
from benched import changed
from report_page import Page

from benchmarks.bench.plots import plot
from benchmarks.bench.report import html
from benchmarks.report.svg import COLOURS


def test_all_colours_are_those_of_the_page(figures: dict[str, Any]) -> None:
    text = html(changed(figures))
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert "<text" in drawing  # as text, not as outlines
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= {*COLOURS, "font"}


def test_an_answer_type_that_the_data_lack(figures: dict[str, Any]) -> None:
    def without_numbers(figures: dict[str, Any]) -> None:
        for it in figures["accuracy"]["systems"]:
            it["accuracy"]["number"] = None
        for it in figures["accuracy"]["comparisons"]:
            it["by_type"]["number"] = None

    report = changed(figures, without_numbers)
    assert plot(report, "accuracy", "wide").count("number") == 0
    assert "none" in Page(html(report)).text


@pytest.mark.parametrize("share", [0.0, 100.0])
def test_equal_accuracies_have_a_scale_within_0_to_100(
    figures: dict[str, Any], share: float
) -> None:
    def equal(figures: dict[str, Any]) -> None:
        for it in figures["accuracy"]["systems"]:
            for kind in it["accuracy"]:
                it["accuracy"][kind] = {"low": share, "estimate": share, "high": share}

    text = plot(changed(figures, equal), "accuracy", "wide")
    ticks = [float(tick) for tick in re.findall(r">(-?[\d.]+)</text>", text.replace("−", "-"))]
    assert share in ticks and min(ticks) >= 0 and max(ticks) <= 100 and len(set(ticks)) > 2
