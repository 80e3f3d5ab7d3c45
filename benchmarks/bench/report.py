"""A report as sections of sentences and tables, and those as Markdown (report.md)."""

from __future__ import annotations

from html import escape

from benchmarks.bench import tables as bench_tables
from benchmarks.bench.plots import CAPTIONS, LEGENDS, plot
from benchmarks.bench.schema import Report
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.html import page
from benchmarks.report.markdown import as_markdown
from benchmarks.report.sections import Section, machine_table
from benchmarks.report.svg import WIDTHS
from lxcompress.system.text import one_line

HEADING = "What the ticket costs and gains"


def sections(report: Report) -> list[Section]:
    """All that both texts say, in their order."""
    said, machine = report.findings, machine_table(_about(report), report.environment)
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


def html(report: Report) -> str:
    """The whole page."""
    return page(
        HEADING,
        headline(report),
        sections(report),
        lambda name: _figure(report, name),
        command="bench",
        made=f"{report.finished}, lxcompress {report.environment['versions']['lxcompress']}",
        where="All figures are in report.json, raw samples included.",
    )


def _figure(report: Report, name: str) -> str:
    legend = "".join(
        f'<li><span class="swatch" style="background: var(--{colour})"></span>{escape(label)}</li>'
        for colour, label in LEGENDS[name].items()
    )
    drawings = "\n".join(plot(report, name, form) for form in WIDTHS)
    caption = f"<figcaption>{escape(CAPTIONS[name])}</figcaption>"
    return f'<figure>{caption}<ul class="legend">{legend}</ul>{drawings}</figure>'
