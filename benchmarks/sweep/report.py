"""The report of a sweep: report.json, .md and .html, table1.md, figure1.png and .svg."""

from __future__ import annotations

from html import escape
from pathlib import Path

from pydantic import ValidationError

from benchmarks.report.html import page
from benchmarks.report.markdown import as_markdown, table_markdown
from benchmarks.report.sections import Section, machine_table
from benchmarks.report.svg import WIDTHS
from benchmarks.sweep import figure1, findings
from benchmarks.sweep import tables as sweep_tables
from benchmarks.sweep.published import published
from benchmarks.sweep.schema import SCHEMA, Report
from lxcompress.errors import RunError
from lxcompress.system.files import atomic_path, read_json, write_json

HEADING = "The lottery over sparsities"
REPORT = "report.json"


def write(report: Report, folder: Path) -> None:
    """All six files into `folder`; texts and pictures are made before the first is written."""
    contents = {
        "report.md": markdown(report).encode(),
        "report.html": html(report).encode(),
        "table1.md": table_markdown(sweep_tables.table1(report)).encode(),
        "figure1.png": figure1.png(report),
        "figure1.svg": figure1.svg(report).encode(),
    }
    write_json(folder / REPORT, report.model_dump(mode="json", by_alias=True))
    for name, content in contents.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)


def markdown(report: Report) -> str:
    """report.md."""
    pictures = {"figure1": figure1.caption(report)}
    return as_markdown(HEADING, headline(report), sections(report), pictures)


def html(report: Report) -> str:
    """report.html: one file that loads nothing and runs nothing."""

    def figure(name: str) -> str:
        drawings = "\n".join(figure1.inline(report, form) for form in WIDTHS)
        text = escape(figure1.caption(report))
        return f"<figure><figcaption>{text}</figcaption>{drawings}</figure>"

    return page(
        HEADING,
        headline(report),
        sections(report),
        figure,
        command="sweep",
        made=f"{report.finished}, lxcompress {report.environment['versions']['lxcompress']}",
        where="All figures are in report.json.",
    )


def load(folder: Path) -> Report:
    """The report that `write` left; RunError where there is none or it is of another schema."""
    path = folder / REPORT
    if not path.exists():
        raise RunError(f"no sweep report in {folder}; `lxcompress sweep` makes one")
    return read(path)


def read(path: Path) -> Report:
    """A report.json under any name. Raises RunError."""
    found = read_json(path, "sweep report", RunError)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise RunError(f"{path} is no sweep report of schema {SCHEMA} (schema: {schema!r})")
    try:
        return Report.model_validate(found)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"sweep report {path} is damaged at {where}: {first['msg']}") from None


def headline(report: Report) -> str:
    """What was swept."""
    parts = [
        f"{len(found)} {one if len(found) == 1 else many}"
        for found, one, many in (
            (report.subnetworks, "subnetwork", "subnetworks"),
            (report.sparsities, "sparsity", "sparsities"),
            (report.dense, "seed", "seeds"),
        )
    ]
    return f"{', '.join(parts)} on {report.dataset['name']}"


def sections(report: Report) -> list[Section]:
    """All that both texts say, in their order."""
    tables, grown = sweep_tables, findings.grown(report)
    found = [
        Section("In short", findings.summary(report)),
        Section("Figure 1", [], plots=["figure1"]),
        Section("Table 1", [findings.beside_published(report)], [tables.table1(report)]),
        Section("Every sparsity", [], [tables.every_sparsity(report)]),
        Section("Against dense", [], [tables.against_dense(report)]),
    ]
    if grown:
        logs = [findings.of_the_logs(), published().note]
        both = [tables.protocol(report), tables.minival()]
        found.append(Section("Zeros after retraining", [*grown, *logs], both))
    if report.failures:
        found.append(Section("What failed", [], [tables.failed(report)]))
    about = machine_table(tables.about(report), report.environment)
    measured = Section("How it was measured", findings.method(report), [about])
    return [*found, measured]
