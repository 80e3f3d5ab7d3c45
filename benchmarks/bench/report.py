"""The sections of a report, and the texts that consist of them: report.md and report.html."""

from __future__ import annotations

from benchmarks.bench import tables
from benchmarks.bench.findings.speed import EQUAL_WITHIN, NOISE
from benchmarks.bench.plots.figures import figure
from benchmarks.bench.schema import Report
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.html import page
from benchmarks.report.markdown import as_markdown
from benchmarks.report.sections import Section, machine_table
from lxcompress.system.text import one_line

HEADING = "Ticket compared with the dense model"


def markdown(report: Report) -> str:
    """report.md."""
    return as_markdown(HEADING, headline(report), sections(report), {})


def html(report: Report) -> str:
    """report.html."""
    return page(
        HEADING,
        headline(report),
        sections(report),
        lambda name: figure(report, name),
        command="bench",
        version=report.environment["versions"]["lxcompress"],
        finished=report.finished,
    )


def headline(report: Report) -> str:
    """The run, its number of ticket files and its data set, as plain text."""
    count = len(report.size.tickets)
    files = "ticket file" if count == 1 else "ticket files"
    return f"{one_line(report.run)}: {count} {files} on {one_line(report.dataset.name)}"


def sections(report: Report) -> list[Section]:
    """The content of both texts."""
    findings = report.findings
    return [
        Section("Summary", findings["summary"]),
        Section(
            "Size",
            findings["size"],
            [tables.files(report), tables.parts(report), tables.formats(report)],
            ["size"],
        ),
        *_structure(report),
        Section(
            "Speed",
            findings["speed"],
            [*tables.latencies(report), *tables.attribution(report)],
            ["latency"],
        ),
        Section("Loading", findings["loading"], [tables.loads(report)]),
        Section(
            "Accuracy",
            findings["accuracy"],
            [
                tables.accuracies(report),
                tables.comparisons(report),
                tables.by_type(report),
            ],
            ["accuracy"],
        ),
        Section("Method", _method(report), [machine_table(_about(report), report.environment)]),
    ]


def _structure(report: Report) -> list[Section]:
    """The section on heads and neurons, of a ticket that has lost any."""
    if not report.network.units:
        return []
    return [Section("Structure", report.findings["structure"], tables.units(report), ["layers"])]


def _method(report: Report) -> list[str]:
    batch, accuracy = report.latency[0], report.accuracy
    return [
        f"All systems answer the same {accuracy.questions:,} questions: the {accuracy.split} split "
        f"of {one_line(report.dataset.name)}.",
        "Latency is the time from a batch's arrays to logits on the host, without reading "
        "pictures, detection and tokenization. Every round runs each system once, in random order, "
        "so that drift of the machine affects all systems alike. Batches are real questions drawn "
        "at random, padded to the longest of the batch: "
        f"{min(batch.tokens)} to {max(batch.tokens)} tokens at batch {batch.batch_size}. Speedup "
        "is the median over rounds of the dense system's time divided by the ticket's, with the "
        "exact interval of a median; above 1 the ticket is faster. The steps from PyTorch eager to "
        "a ticket's file are measured in the same rounds; each is such a median, so their product "
        "may differ slightly from what they gain together. Two systems are called equally "
        f"fast if that interval includes 1 and lies within {EQUAL_WITHIN:.0%} of it, or lies "
        f"within {NOISE:.0%} of it. The control is the dense fp32 file in a second session, "
        "compared with the first.",
        "Multiply-adds are those of the matrix products of linear layers and attention, computed "
        "from the shapes; what no answer depends on is not counted.",
        "ONNX files run in ONNX Runtime after lxcompress has decoded their weights; on CUDA, int8 "
        "is decoded to fp16. Every load is timed in a new process, with the file in the page "
        "cache; memory is the increase over the process before the load.",
        f"Accuracy intervals are percentile bootstraps over pictures ({accuracy.resamples:,} "
        f"resamples, seed {accuracy.seed}), paired where two systems are compared: all questions "
        "about a picture are resampled together, because they are not independent. McNemar's "
        "exact test counts a question with a score above 0.5 as correct (with ten human answers: "
        "at least two people gave the answer), and takes pictures as its units too: it asks "
        "whether one system answers more questions about a picture correctly more often than the "
        "other does. Its p-values are not adjusted for multiple comparisons. A difference in "
        "accuracy is called significant if its interval excludes 0. "
        f"All intervals have {CONFIDENCE:.0%} confidence.",
    ]


def _about(report: Report) -> list[tuple[str, str]]:
    return [
        ("command", report.command),
        ("finished", report.finished),
        ("run", report.run),
        ("data fingerprint", report.dataset.fingerprint),
    ]
