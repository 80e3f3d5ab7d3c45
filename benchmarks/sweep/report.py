"""Write and read the report of a sweep: report.json, .md, .html, table1.md, figure1.png, .svg."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report.html import figure, page
from benchmarks.report.markdown import as_markdown, table_markdown
from benchmarks.report.sections import Section, machine_table
from benchmarks.report.svg import WIDTHS
from benchmarks.sweep import figure1, findings, tables
from benchmarks.sweep.published import published
from benchmarks.sweep.schema import SCHEMA, Report
from lxcompress.errors import RunError
from lxcompress.system.files import atomic_path, write_json

HEADING = "Lottery tickets by sparsity"
REPORT = "report.json"


def write(report: Report, folder: Path) -> None:
    """Write all six files into `folder`, once the content of each is made without an error."""
    contents = {
        "report.md": markdown(report).encode(),
        "report.html": html(report).encode(),
        "table1.md": table_markdown(tables.table1(report)).encode(),
        "figure1.png": figure1.png(report),
        "figure1.svg": figure1.svg(report).encode(),
    }
    write_json(folder / REPORT, report.model_dump(mode="json", by_alias=True))
    for name, content in contents.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)


def markdown(report: Report) -> str:
    """Return the content of report.md."""
    pictures = {"figure1": figure1.caption(report)}
    return as_markdown(HEADING, headline(report), sections(report), pictures)


def html(report: Report) -> str:
    """Return the content of report.html, a page without scripts and external resources."""

    def plot(name: str) -> str:
        drawings = [figure1.inline(report, form) for form in WIDTHS]
        return figure(figure1.caption(report), drawings)

    return page(
        HEADING,
        headline(report),
        sections(report),
        plot,
        command="sweep",
        version=report.environment["versions"]["lxcompress"],
        finished=report.finished,
    )


def load(folder: Path) -> Report:
    """Read the report that `write` left in `folder`; RunError as `read`, or if there is none."""
    path = folder / REPORT
    if not path.exists():
        raise RunError(f"no sweep report in {folder}; `lxcompress sweep` makes one")
    return read(path)


def read(path: Path) -> Report:
    """Read a report.json under any name.

    Raises:
        RunError: The file is missing, damaged, or has another schema.
    """
    return Report.load(path, "sweep report", RunError, schema=SCHEMA)


def headline(report: Report) -> str:
    """Return what was swept: "3 subnetworks, 9 sparsities, 3 seeds on shapes-vqa"."""
    parts = [
        f"{len(values)} {one if len(values) == 1 else many}"
        for values, one, many in (
            (report.subnetworks, "subnetwork", "subnetworks"),
            (report.sparsities, "sparsity", "sparsities"),
            (report.dense, "seed", "seeds"),
        )
    ]
    return f"{', '.join(parts)} on {report.dataset['name']}"


def sections(report: Report) -> list[Section]:
    """Return the sections of report.md and report.html, in order."""
    regrowth = findings.regrowth(report)
    sections = [
        Section("Summary", findings.summary(report)),
        Section("Figure 1", [], plots=["figure1"]),
        Section("Table 1", [findings.published_rows(report)], [tables.table1(report)]),
        Section("All sparsities", [], [tables.all_sparsities(report)]),
        Section("Comparison with dense", [], [tables.differences(report)]),
    ]
    if report.has_control:
        table = tables.differences(report, control=True)
        sections.append(Section("Comparison with the control", [], [table]))
    if regrowth:
        sentences, both = [*regrowth], [tables.protocol(report)]
        if findings.is_unenforced(report):
            sentences += [findings.authors_logs(), published().note]
            both.append(tables.minival())
        sections.append(Section("Sparsity after retraining", sentences, both))
    if report.failures:
        sections.append(Section("Failed runs", [], [tables.failed(report)]))
    machine = machine_table(tables.about(report), report.environment)
    return [*sections, Section("Method", findings.method(report), [machine])]
