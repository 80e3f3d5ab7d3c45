"""report.html: the report's sections with plots, in one file that loads nothing and runs nothing.

Page and style are page.html; all text is escaped here, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from string import Template

from benchmarks.report.sections import Section, Table

_PAGE = Path(__file__).with_name("page.html")


def page(
    heading: str,
    title: str,
    sections: Sequence[Section],
    figure: Callable[[str], str],
    *,
    command: str,
    made: str,
    where: str,
) -> str:
    """Sections as a page, the first as its summary; `figure` gives a plot's <figure> by name.

    `command` of lxcompress made it, `made` says when and by which version, `where` what is where.
    """
    first, *rest = sections
    body = [_summary(first), *(_section(section, figure) for section in rest)]
    links = "".join(
        f'<li><a href="#{_anchor(section)}">{escape(section.title)}</a></li>' for section in rest
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        heading=escape(heading),
        title=escape(title),
        links=links,
        body="\n".join(body),
        command=escape(command),
        made=escape(made),
        where=escape(where),
    )


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _summary(section: Section) -> str:
    items = []
    for sentence in section.sentences:
        subject, colon, text = sentence.partition(": ")
        marked = f"<strong>{escape(subject)}</strong> {_text(text)}" if colon else _text(sentence)
        items.append(f"<li>{marked}</li>")
    label = escape(section.title)
    return f'<section class="summary" aria-label="{label}"><ul>{"".join(items)}</ul></section>'


def _section(section: Section, figure: Callable[[str], str]) -> str:
    anchor = _anchor(section)
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(section.title)}</h2>']
    parts += [figure(name) for name in section.plots]
    if section.sentences:
        sentences = "".join(f"<li>{_text(sentence)}</li>" for sentence in section.sentences)
        parts.append(f'<ul class="findings">{sentences}</ul>')
    parts += [_table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _text(sentence: str) -> str:
    """Escaped, and with no line broken between a figure and its unit."""
    return re.sub(
        r"(?<=\d) (?=ms\b|s\b|MB\b|points\b)|(?<=p) (?=[=<&])|(?<==) ", "&nbsp;", escape(sentence)
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_kind(table, at)}>{escape(column)}</th>'
        for at, column in enumerate(table.columns)
    )
    rows = []
    for name, *cells in table.rows:
        figures = "".join(
            f"<td{_kind(table, at)}><span>{escape(cell)}</span></td>"
            for at, cell in enumerate(cells, 1)
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{figures}</tr>')
    caption = escape(table.caption)
    # The caption stays while the table scrolls, which a keyboard can do too: it has a tabindex.
    return (
        f'<figure class="table"><figcaption>{caption}</figcaption>'
        f'<div role="region" tabindex="0" aria-label="{caption}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></figure>"
    )


def _kind(table: Table, column: int) -> str:
    return ' class="text"' if table.columns[column] in table.texts else ""
