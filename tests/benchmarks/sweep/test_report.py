"""The files of a sweep's report."""

import re
from pathlib import Path
from typing import Any

import pytest
from benched import HOSTILE
from report_page import Page
from simulated_sweep import FOUR_FAILED, changed, simulated_report

from benchmarks.report.markdown import table_markdown
from benchmarks.report.svg import COLOURS
from benchmarks.sweep import figure1, tables
from benchmarks.sweep.report import html, load, markdown, write
from benchmarks.sweep.schema import Report
from lxcompress.errors import RunError


def test_files_are_written_and_read_back(tmp_path: Path) -> None:
    report = simulated_report(without=FOUR_FAILED, beside=True)
    write(report, tmp_path / "sweep")
    assert {path.name for path in (tmp_path / "sweep").iterdir()} == {
        *("report.json", "report.md", "report.html", "table1.md", "figure1.png", "figure1.svg")
    }
    assert load(tmp_path / "sweep") == report
    table = (tmp_path / "sweep" / "table1.md").read_text()
    assert table == table_markdown(tables.table1(report))
    text = (tmp_path / "sweep" / "report.md").read_text()
    assert table in text and "](figure1.png)" in text
    columns = 0
    for line in text.splitlines():
        columns = (columns or line.count("|")) if line.startswith("|") else 0
        assert line.count("|") == columns


def test_nothing_is_written_when_one_file_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(report: Report) -> bytes:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(figure1, "png", broken)
    with pytest.raises(RuntimeError, match="no fonts"):
        write(simulated_report(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_page_is_well_formed_and_loads_nothing() -> None:
    text = html(simulated_report(without=FOUR_FAILED, beside=True))
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src"):
            assert value == "data:," or value[1:] in ids
    assert "http" not in text and "@import" not in text
    for heading in ("Table 1", "Sparsity after retraining", "Failed runs"):
        assert heading in page.text
    assert "Created by lxcompress sweep" in page.text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= {*COLOURS, "font"}


def test_hostile_names_are_escaped() -> None:
    def rename(figures: dict[str, Any]) -> None:
        figures["dataset"]["name"] = figures["command"] = figures["metric"] = HOSTILE
        figures["failures"] = [{"cell": HOSTILE, "message": HOSTILE}]
        figures["settings"]["scope"] = HOSTILE

    def fail(figures: dict[str, Any]) -> None:
        figures["failures"] = [{"cell": "low-50-seed0", "message": "out of memory"}]

    plain, hostile = (
        changed(simulated_report(beside=True), fail),
        changed(simulated_report(beside=True), rename),
    )
    before, page = Page(html(plain)), Page(html(hostile))
    assert page.tags == before.tags
    assert len(page.attributes) == len(before.attributes)
    expected, text = markdown(plain), markdown(hostile)
    assert text.count("\n") == expected.count("\n") and text.count("|") == expected.count("|")
    assert not re.search(r"<script|<img|\]\(http|http://", text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no sweep report in .*; `lxcompress sweep` makes one"),
        ("{", "not valid JSON"),
        ("[]", "is not a sweep report of schema lxcompress-sweep/2"),
        ('{"schema": "lxcompress-bench/1"}', "schema: 'lxcompress-bench/1'"),
        ('{"schema": "lxcompress-sweep/2"}', "is damaged at command: Field required"),
    ],
)
def test_files_that_are_not_a_report_are_rejected(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(RunError, match=message) as problem:
        load(tmp_path)
    assert "\n" not in str(problem.value)
