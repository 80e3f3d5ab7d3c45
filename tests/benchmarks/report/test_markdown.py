"""Markdown shows all text as it is, and tables keep their shape."""

import re

from benched import HOSTILE

from benchmarks.report.markdown import as_markdown, escape, table_markdown
from benchmarks.report.sections import Section, Table

TABLE = Table("Sizes", ["file", "MB", "loader"], [["a", "1.5", "stock"]], ["loader"])


def test_escape() -> None:
    assert "\n" not in escape("a\nb")
    assert not re.search(r"[|<>`*_\[\]]", escape(HOSTILE))
    assert escape("plain text, 1.5 MB (−0.2 to +0.3)") == "plain text, 1.5 MB (−0.2 to +0.3)"


def test_numbers_are_aligned_to_the_right() -> None:
    assert table_markdown(TABLE) == (
        "| file | MB | loader |\n|---|---:|---|\n| a | 1.5 | stock |\n"
    )


def test_hostile_cells_add_no_column_and_no_row() -> None:
    text = table_markdown(Table("", ["a", "b"], [[HOSTILE, HOSTILE]]))
    assert [line.count("|") for line in text.splitlines()] == [3, 3, 3]


def test_only_plots_with_a_file_are_shown() -> None:
    sections = [Section("Size", ["A sentence."], [TABLE], ["size", "none"])]
    text = as_markdown("Heading", "title", sections, {"size": "Its [caption]"})
    assert text.startswith("# Heading: title\n\n## Size\n\n![Its &#91;caption&#93;](size.png)\n")
    assert "\n- A sentence.\n" in text and "\n**Sizes**\n" in text
    assert "none" not in text
