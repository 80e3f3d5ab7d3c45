"""report.md: a report's sections as Markdown. All text is escaped here, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.report.sections import Section, Table
from lxcompress.system.text import one_line


def as_markdown(
    heading: str, title: str, sections: Sequence[Section], pictures: Mapping[str, str]
) -> str:
    """The whole file. `pictures` maps a plot's name to its caption; its file is NAME.png.

    A plot that is not among the `pictures` is left out.
    """
    lines = [f"# {heading}: {escape(title)}", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        for name in section.plots:
            if name in pictures:
                caption = escape(pictures[name])
                lines += [f"![{caption}]({name}.png)", "", caption, ""]
        if section.sentences:
            lines += [*(f"- {escape(sentence)}" for sentence in section.sentences), ""]
        for table in section.tables:
            lines += [f"**{escape(table.caption)}**", "", table_markdown(table)]
    return "\n".join(lines)


def table_markdown(table: Table) -> str:
    """A table without its caption, numbers aligned to the right."""
    texts = (table.columns[0], *table.texts)
    rule = "|".join(["", *("---" if column in texts else "---:" for column in table.columns), ""])
    return "\n".join([_row(table.columns), rule, *(_row(row) for row in table.rows), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def escape(text: str) -> str:
    """Markdown that shows exactly this text, in a table too: no markup, HTML or link."""
    return re.sub(r"[\\`*_{}\[\]<>#|!~&@]|://", lambda mark: _entities(mark[0]), one_line(text))


def _entities(characters: str) -> str:
    return "".join(f"&#{ord(character)};" for character in characters)
