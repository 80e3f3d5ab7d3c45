"""A report as a page and as Markdown: safe, complete, and without any other file."""

import re
from typing import Any

from benched import HOSTILE, changed
from report_page import Page

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


def test_hostile_names(figures: dict[str, Any]) -> None:
    def rename(figures: dict[str, Any]) -> None:
        figures["run"] = figures["dataset"]["name"] = figures["command"] = HOSTILE
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
