"""The plots of a report: colours of the page, data that lack a type, and equal accuracies."""

import re
from collections import Counter
from typing import Any

import pytest
from benched import changed, structured
from report_page import Page

from benchmarks.bench.plots.figures import plot
from benchmarks.bench.report import html
from benchmarks.report.svg import COLOURS


def test_all_colours_are_those_of_the_page(figures: dict[str, Any]) -> None:
    text = html(changed(figures, structured))
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 8
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


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_the_layer_map_shows_every_sublayer(figures: dict[str, Any], form: str) -> None:
    report = changed(figures, structured)
    text = plot(report, "layers", form)
    numbers = re.findall(r">([\d,]+|unused)</text>", text)
    shown = Counter(numbers) - Counter(["0", "1"] * 3)  # the numbers of the layers
    assert shown == Counter([*(str(it.left) for it in report.network.units), "unused"])
    for part in ("language", "vision", "cross-modality"):
        assert f">{part}</text>" in text
