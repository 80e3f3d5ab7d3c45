"""A report as sections of sentences and tables, and those as Markdown (report.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import bench_tables
from benchmarks.bench_schema import Report
from benchmarks.bench_tables import Table
from benchmarks.statistics import CONFIDENCE
from exporters.card import one_line

HEADING = "What the ticket costs and gains"


@dataclass(frozen=True)
class Section:
    """`plots` names pictures; Markdown shows those that are files beside it."""

    title: str
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    plots: Sequence[str] = ()


def sections(report: Report) -> list[Section]:
    """All that both texts say, in their order."""
    said, machine = report.findings, bench_tables.machine(_about(report), report.environment)
    return [
        Section("In short", said["summary"]),
        Section(
            "Size",
            said["size"],
            [bench_tables.files(report), bench_tables.parts(report), bench_tables.formats(report)],
            ["size"],
        ),
        Section("Speed", said["speed"], bench_tables.latencies(report), ["latency"]),
        Section("Loading", said["loading"], [bench_tables.loads(report)]),
        Section(
            "Accuracy",
            said["accuracy"],
            [
                bench_tables.accuracies(report),
                bench_tables.comparisons(report),
                bench_tables.by_type(report),
            ],
            ["accuracy"],
        ),
        Section(
            "How it was measured",
            _method(report),
            [machine],
        ),
    ]


def _method(report: Report) -> list[str]:
    batch, accuracy = report.latency[0], report.accuracy
    return [
        f"{accuracy.questions:,} questions of the {accuracy.split} split of "
        f"{one_line(report.dataset['name'])}, the same for every system.",
        "Latency is from a batch's arrays to logits on the host, without reading the picture or "
        "splitting the question into tokens. Systems take turns, one run each, in an order "
        "drawn anew each turn, so that the machine's drift meets all of them. Batches are real "
        "questions, drawn by lot, padded to their longest: "
        f"{min(batch.tokens)} to {max(batch.tokens)} tokens at batch "
        f"{batch.batch_size}. A ratio is the median over turns of the dense system's time "
        "over the ticket's, with the exact interval of a median; over 1 the ticket is faster.",
        "ONNX files run with lxcompress's decoder in front of ONNX Runtime; int8 on CUDA is "
        "decoded to fp16. Loading is timed in a process of its own for each load, the file in the "
        "system's cache; memory is above what the process had before.",
        f"Accuracy intervals are percentile bootstraps over questions ({accuracy.resamples:,} "
        f"resamples, seed {accuracy.seed}), paired where two systems are compared. McNemar's exact "
        "test takes a question's score above 0.5 for right (with ten human answers: at least two "
        "people gave that answer). p-values are of one comparison each, not adjusted for their "
        f"number. All intervals are of {CONFIDENCE:.0%}.",
    ]


def _about(report: Report) -> list[tuple[str, str]]:
    return [
        ("command", report.command),
        ("finished", report.finished),
        ("run", report.run),
        ("data fingerprint", str(report.dataset["fingerprint"])),
    ]


def headline(report: Report) -> str:
    """What the report is about, as plain text."""
    count = len(report.size.tickets)
    files = "ticket file" if count == 1 else "ticket files"
    return f"{one_line(report.run)}: {count} {files} on {one_line(report.dataset['name'])}"


def markdown(report: Report) -> str:
    """report.md."""
    return as_markdown(HEADING, headline(report), sections(report), {})


def as_markdown(
    heading: str, title: str, sections: Sequence[Section], pictures: Mapping[str, str]
) -> str:
    """Sections as Markdown; `pictures` are files beside it, by name without ".png": captions."""
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
    """The table without its caption; figures stand to the right."""
    texts = (table.columns[0], *table.texts)
    rule = "|".join(["", *("---" if column in texts else "---:" for column in table.columns), ""])
    return "\n".join([_row(table.columns), rule, *(_row(row) for row in table.rows), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def escape(text: str) -> str:
    """Markdown that says just this text, in a table too: no mark-up, HTML or link."""
    return re.sub(r"[\\`*_{}\[\]<>#|!~&@]|://", lambda mark: _entities(mark[0]), one_line(text))


def _entities(characters: str) -> str:
    return "".join(f"&#{ord(character)};" for character in characters)
