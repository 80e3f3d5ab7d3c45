"""A sweep's report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bench_report import Section, _row, escape
from benchmarks.bench_tables import Table


def markdown(
    heading: str, title: str, sections: Sequence[Section], plots: Mapping[str, str]
) -> str:
    """report.md; `plots` are pictures beside it, by name without ".png", with their captions."""
    lines = [f"# {heading}: {escape(title)}", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        for name in section.plots:
            lines += [f"![{escape(plots[name])}]({name}.png)", "", escape(plots[name]), ""]
        if section.sentences:
            lines += [*(f"- {escape(sentence)}" for sentence in section.sentences), ""]
        for table in section.tables:
            lines += [f"**{escape(table.caption)}**", "", table_markdown(table)]
    return "\n".join(lines)


def table_markdown(table: Table) -> str:
    """The table without its caption; a text, or a figure to the right, in each column."""
    texts = (table.columns[0], *table.texts)
    rule = "|".join(["", *("---" if column in texts else "---:" for column in table.columns), ""])
    return "\n".join([_row(table.columns), rule, *(_row(row) for row in table.rows), ""])
