"""A report as a page and as Markdown: safe, complete, and without any other file."""

import re
from typing import Any

from benched import HOSTILE, changed, controlled, structured
from report_page import Page

from benchmarks.bench import tables
from benchmarks.bench.report import html, markdown


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


def test_page_is_consistent(figures: dict[str, Any]) -> None:
    page = Page(html(changed(figures)))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = [value[1:] for name, value in page.attributes if name == "href" and value[0] == "#"]
    assert set(links) <= set(ids)
    roles = [value for name, value in page.attributes if name == "role"]
    assert roles.count("img") == 2 * 3  # each plot for a wide page and for a phone
    assert [value for name, value in page.attributes if name == "aria-label"].count("") == 0
    for section in ("Size", "Speed", "Loading", "Accuracy", "Method"):
        assert section in page.text


def test_a_structured_ticket_has_a_map_of_its_layers(figures: dict[str, Any]) -> None:
    report = changed(figures, structured, controlled)
    text = html(report)
    page = Page(text)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    described = [value for name, value in page.attributes if name == "aria-describedby"]
    assert len(described) == 2 and set(described) <= set(ids)
    assert "Heads and neurons left, cross-modality" in page.text
    (table,) = [it for it in tables.units(report) if it.caption.endswith("cross-modality")]
    assert table.columns == ["layer", "cross-attention, of 2", "language feed-forward, of 48"]
    assert table.rows == [["layer 0", "1", "5"], ["layer 1", "unused", "5"]]
    assert "## Structure" in markdown(report)
    unstructured = changed(figures)
    assert "Structure" not in html(unstructured) and "## Structure" not in markdown(unstructured)


def test_steps_of_the_speedup_are_in_a_table_for_each_ticket(figures: dict[str, Any]) -> None:
    found = {it.caption: it for it in tables.attribution(changed(figures, structured))}
    assert len(found) == 3
    int8 = found["Speedup of the int8 ticket, step by step"]
    assert int8.columns == ["step", "speedup of", "batch 1", "batch 3"]
    assert [row[0] for row in int8.rows] == [
        *("runtime and graph", "precision", "structure", "together")
    ]
    fp32 = found["Speedup of the fp32 ticket, step by step"]
    assert [row[0] for row in fp32.rows] == ["runtime and graph", "structure", "together"]


def test_hostile_names(figures: dict[str, Any]) -> None:
    def rename(figures: dict[str, Any]) -> None:
        figures["name"] = figures["dataset"]["name"] = figures["command"] = HOSTILE
        figures["environment"]["processor"] = HOSTILE

    plain, hostile = changed(figures), changed(figures, rename)
    page, before = Page(html(hostile)), Page(html(plain))
    assert page.tags == before.tags
    assert sorted(name for name, _ in page.attributes) == sorted(n for n, _ in before.attributes)
    assert "<script>alert(1)</script>" in page.text
    text, expected = markdown(hostile), markdown(plain)
    assert text.count("\n") == expected.count("\n")
    assert not re.search(r"<script|<img|\]\(|http://", text)
    assert text.count("|") == expected.count("|")


def test_markdown_tables_are_complete(figures: dict[str, Any]) -> None:
    columns = 0
    for line in markdown(changed(figures)).splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        columns = columns or line.count("|")
        assert line.count("|") == columns
