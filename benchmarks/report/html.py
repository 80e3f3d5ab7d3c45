"""report.html: a report's sections as one page that loads nothing and runs no script.

The page and its style are in page.html. All text is escaped here, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from benchmarks.report.sections import Section, Table

_PAGE = Path(__file__).with_name("page.html")


def page(
    heading: str,
    title: str,
    sections: Sequence[Section],
    plot: Callable[[str], str],
    *,
    command: str,
    version: str,
    finished: str,
) -> str:
    """The whole page; the first section is its summary.

    `plot` returns the <figure> of a plot by its name. The footer names the `command` of lxcompress
    that created the report, its `version`, and when it `finished`.
    """
    first, *rest = sections
    body = [_summary(first), *(_section(section, plot) for section in rest)]
    links = "".join(
        f'<li><a href="#{_anchor(section)}">{escape(section.title)}</a></li>' for section in rest
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        heading=escape(heading),
        title=escape(title),
        links=links,
        body="\n".join(body),
        command=escape(command),
        version=escape(version),
        finished=escape(finished),
    )


def figure(caption: str, drawings: Sequence[str], legend: Mapping[str, str] | None = None) -> str:
    """A <figure> of <svg> drawings; `legend` maps a colour of the page (svg.COLOURS) to a label."""
    items = "".join(
        f'<li><span class="swatch" style="background: var(--{colour})"></span>{escape(label)}</li>'
        for colour, label in (legend or {}).items()
    )
    listed = f'<ul class="legend">{items}</ul>' if items else ""
    text = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure>{text}{listed}{''.join(drawings)}</figure>"


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


def _section(section: Section, plot: Callable[[str], str]) -> str:
    anchor = _anchor(section)
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(section.title)}</h2>']
    parts += [plot(name) for name in section.plots]
    if section.sentences:
        sentences = "".join(f"<li>{_text(sentence)}</li>" for sentence in section.sentences)
        parts.append(f'<ul class="findings">{sentences}</ul>')
    parts += [_table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _text(sentence: str) -> str:
    """Escaped, with no line break between a number and its unit."""
    return re.sub(
        r"(?<=\d) (?=ms\b|s\b|MB\b|points\b)|(?<=p) (?=[=<&])|(?<==) ", "&nbsp;", escape(sentence)
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_class(table, at)}>{escape(column)}</th>'
        for at, column in enumerate(table.columns)
    )
    rows = []
    for name, *cells in table.rows:
        data = "".join(
            f"<td{_class(table, at)}><span>{escape(cell)}</span></td>"
            for at, cell in enumerate(cells, 1)
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{data}</tr>')
    caption = escape(table.caption)
    # A <caption> would scroll away with the table; the tabindex lets a keyboard scroll it.
    return (
        f'<figure class="table"><figcaption>{caption}</figcaption>'
        f'<div role="region" tabindex="0" aria-label="{caption}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></figure>"
    )


def _class(table: Table, column: int) -> str:
    return ' class="text"' if table.columns[column] in table.texts else ""
