"""The report's page: safe, whole, readable in light and dark, and in need of no other file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from benched import HOSTILE, benched_copy, changed
from report_page import Page, palettes

from benchmarks.bench.plots import plot
from benchmarks.bench.report import html, markdown
from benchmarks.report.svg import COLOURS


@pytest.fixture(scope="module")
def figures(tiny_exported: Path) -> dict[str, Any]:
    """The content of a report.json; not to be changed."""
    folder = benched_copy(tiny_exported)
    return json.loads((folder / "bench" / "report.json").read_text())


def test_page_loads_and_runs_nothing(figures: dict[str, Any]) -> None:
    text = html(changed(figures))
    page = Page(text)
    assert {"svg", "main", "h1", "table", "figure"} <= page.tags
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "srcset", "action", "poster", "data"):
            assert value.startswith("#") or value == "data:,"
    assert "@import" not in text and "http" not in text
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)", text))


def test_page_is_sound(figures: dict[str, Any]) -> None:
    page = Page(html(changed(figures)))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = [value[1:] for name, value in page.attributes if name == "href" and value[0] == "#"]
    assert set(links) <= set(ids)
    roles = [value for name, value in page.attributes if name == "role"]
    assert roles.count("img") == 2 * 3  # each plot for a wide page and for a phone
    assert [value for name, value in page.attributes if name == "aria-label"].count("") == 0
    for section in ("Size", "Speed", "Loading", "Accuracy", "How it was measured"):
        assert section in page.text


def test_hostile_names(figures: dict[str, Any]) -> None:
    def rename(figures: dict[str, Any]) -> None:
        figures["run"] = figures["dataset"]["name"] = figures["command"] = HOSTILE
        figures["environment"]["processor"] = HOSTILE

    plain, hostile = changed(figures), changed(figures, rename)
    page, before = Page(html(hostile)), Page(html(plain))
    assert page.tags == before.tags
    assert sorted(name for name, _ in page.attributes) == sorted(n for n, _ in before.attributes)
    assert "<script>alert(1)</script>" in page.text
    text, told = markdown(hostile), markdown(plain)
    assert text.count("\n") == told.count("\n")
    assert not re.search(r"<script|<img|\]\(|http://", text)
    assert text.count("|") == told.count("|")


def _contrast(first: str, second: str) -> float:
    """WCAG 2.2, "contrast ratio"."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_in_light_and_dark() -> None:
    for palette in palettes():
        for ground in ("page", "card"):
            for text in ("ink", "muted", "link"):
                assert _contrast(palette[text], palette[ground]) >= 4.5, text
            for mark in ("mask", "values", "unpruned", "container", "dense", "ticket"):
                assert _contrast(palette[mark], palette[ground]) >= 3, mark


def test_plots_take_all_colours_from_the_page(figures: dict[str, Any]) -> None:
    text = html(changed(figures))
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert "<text" in drawing  # as text, not as outlines
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= {*COLOURS, "font"}
    for palette in palettes():
        assert COLOURS.keys() <= palette.keys()


def test_a_type_that_the_data_lack(figures: dict[str, Any]) -> None:
    def without_numbers(figures: dict[str, Any]) -> None:
        for it in figures["accuracy"]["systems"]:
            it["accuracy"]["number"] = None
        for it in figures["accuracy"]["comparisons"]:
            it["by_type"]["number"] = None

    report = changed(figures, without_numbers)
    assert plot(report, "accuracy", "wide").count("number") == 0
    assert "none" in Page(html(report)).text


@pytest.mark.parametrize("share", [0.0, 100.0])
def test_equal_accuracies_have_a_scale_of_percents(figures: dict[str, Any], share: float) -> None:
    def equal(figures: dict[str, Any]) -> None:
        for it in figures["accuracy"]["systems"]:
            for kind in it["accuracy"]:
                it["accuracy"][kind] = {"low": share, "estimate": share, "high": share}

    text = plot(changed(figures, equal), "accuracy", "wide")
    ticks = [float(tick) for tick in re.findall(r">(-?[\d.]+)</text>", text.replace("−", "-"))]
    assert share in ticks and min(ticks) >= 0 and max(ticks) <= 100 and len(set(ticks)) > 2
