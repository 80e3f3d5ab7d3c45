"""A sweep's report.html: one file that loads nothing and runs nothing, in the look of bench's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from benchmarks.bench_html import _PAGE, _anchor, _summary, _table, _text
from benchmarks.bench_plots import WIDTHS
from benchmarks.bench_report import Section
from benchmarks.sweep_plots import caption, inline
from benchmarks.sweep_schema import Report


def html(report: Report, heading: str, title: str, sections: Sequence[Section]) -> str:
    """The whole page; the first section is the summary."""
    first, *rest = sections
    links = "".join(
        f'<li><a href="#{_anchor(section)}">{escape(section.title)}</a></li>' for section in rest
    )
    page = _PAGE.read_text(encoding="utf-8")
    for bench, sweep in (
        ("What the ticket costs and gains", heading),
        ("lxcompress bench", "lxcompress sweep"),
        (", raw samples included", ""),
    ):
        assert page.count(bench) == 1
        page = page.replace(bench, sweep)
    return Template(page).substitute(
        title=escape(title),
        links=links,
        body="\n".join([_summary(first), *(_section(report, section) for section in rest)]),
        made=escape(
            f"{report.finished}, lxcompress {report.environment['versions']['lxcompress']}"
        ),
    )


def _section(report: Report, section: Section) -> str:
    anchor = _anchor(section)
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(section.title)}</h2>']
    parts += [_figure(report) for _ in section.plots]
    if section.sentences:
        sentences = "".join(f"<li>{_text(sentence)}</li>" for sentence in section.sentences)
        parts.append(f'<ul class="findings">{sentences}</ul>')
    parts += [_table(table) for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _figure(report: Report) -> str:
    drawings = "\n".join(inline(report, form) for form in WIDTHS)
    return f"<figure><figcaption>{escape(caption(report))}</figcaption>{drawings}</figure>"
