"""Write the report: frontier.json, .md, .html, and the figure as .png and .svg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.frontier import figure
from benchmarks.frontier.schema import Frontier
from benchmarks.report import html
from benchmarks.report.markdown import as_markdown
from benchmarks.report.numbers import megabytes, milliseconds, with_interval
from benchmarks.report.sections import Section, Table, machine_table
from benchmarks.report.svg import WIDTHS
from lxcompress.system.files import atomic_path, write_json
from lxcompress.system.text import one_line

HEADING = "Accuracy over latency"
CLOSE = 1.0  # points of accuracy


def write(found: Frontier, folder: Path) -> None:
    """Write all files into `folder`, once the content of each is made without an error."""
    contents = {
        "frontier.md": markdown(found).encode(),
        "frontier.html": page(found).encode(),
        "frontier.png": figure.png(found),
        "frontier.svg": figure.svg(found).encode(),
    }
    write_json(folder / "frontier.json", found.model_dump(mode="json", by_alias=True))
    for name, content in contents.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)


def markdown(found: Frontier) -> str:
    """Return the content of frontier.md."""
    return as_markdown(HEADING, _title(found), sections(found), {"frontier": figure.caption(found)})


def page(found: Frontier) -> str:
    """Return the content of frontier.html, a page without scripts and external resources."""
    drawings = [figure.inline(found, form) for form in WIDTHS]
    return html.page(
        HEADING,
        _title(found),
        sections(found),
        lambda name: html.figure(figure.caption(found), drawings),
        command="frontier",
        version=found.environment["versions"]["lxcompress"],
        finished=found.finished,
    )


def _title(found: Frontier) -> str:
    runs = len({point.run for point in found.points})
    count = f"{runs} run{'' if runs == 1 else 's'}"
    return f"{len(found.points)} files of {count} on {one_line(found.dataset.name)}"


def sections(found: Frontier) -> list[Section]:
    """Return the sections of frontier.md and frontier.html."""
    about = [("command", found.command), ("finished", found.finished)]
    return [
        Section("Summary", list(findings(found))),
        Section("Figure", [], plots=["frontier"]),
        Section("Files", [], [files(found)]),
        Section(
            "Method",
            [
                "Latencies are those of `lxcompress bench` of each run, all on one machine with "
                "the same versions. Each is divided by that of the run's dense fp32 file in the "
                "same round, so that what slows the machine down for a while cancels; given are "
                "the median over rounds and its 95% interval."
            ],
            [machine_table(about, found.environment)],
        ),
    ]


def findings(found: Frontier) -> Iterator[str]:
    """Yield the frontier, and the fastest accurate file, for each batch size."""
    for size in found.batch_sizes:
        best = found.frontier(size)
        names = ", ".join(
            f"{point.name} ({point.relative(size):.2f}, {point.accuracy.estimate:.2f}%)"
            for point in best
        )
        yield f"Frontier at batch {size}: {names}."
        dense = max(point.accuracy.estimate for point in found.points if point.name == "dense fp32")
        close = [point for point in best if point.accuracy.estimate >= dense - CLOSE]
        if close:
            fastest = close[0]
            yield (
                f"Fastest within {CLOSE:g} point of dense at batch {size}: {fastest.name}, "
                f"{1 / fastest.relative(size):.2f} times as fast as dense fp32, with "
                f"{fastest.accuracy.estimate:.2f} against {dense:.2f}."
            )


def files(found: Frontier) -> Table:
    """Return the table of all files, by latency at the smallest batch."""
    sizes = found.batch_sizes
    rows = []
    for point in sorted(found.points, key=lambda it: it.relative(sizes[0])):
        latencies = {it.batch_size: it for it in point.latencies}
        on = [str(size) for size in sizes if point in found.frontier(size)]
        rows.append(
            [
                point.name,
                point.run,
                megabytes(point.bytes),
                with_interval(point.accuracy),
                *(
                    f"{with_interval(latencies[size].relative)}, "
                    f"{milliseconds(latencies[size].p50)}"
                    for size in sizes
                ),
                ", ".join(on) or "–",
            ]
        )
    columns = ["file", "run", "size", "accuracy, %"]
    columns += [f"latency, batch {size}" for size in sizes]
    columns.append("on the frontier at batch")
    return Table("Latency relative to dense fp32, and in ms", columns, rows, ["run"])
