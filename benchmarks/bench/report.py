"""The sections of a report, and the texts that consist of them: report.md and report.html."""

from __future__ import annotations

from benchmarks.bench import tables
from benchmarks.bench.findings.speed import EQUAL_WITHIN, NOISE
from benchmarks.bench.plots.figures import figure
from benchmarks.bench.schema import Accuracies, Report
from benchmarks.measure.statistics import CONFIDENCE
from benchmarks.report.html import page
from benchmarks.report.markdown import as_markdown
from benchmarks.report.sections import Section, machine_table
from lxcompress.system.text import one_line

HEADING = "Ticket compared with the dense model"
MODEL_HEADING = "Exported files compared with PyTorch"  # of a model without a ticket


def markdown(report: Report) -> str:
    """report.md."""
    return as_markdown(heading(report), headline(report), sections(report), {})


def html(report: Report) -> str:
    """report.html."""
    return page(
        heading(report),
        headline(report),
        sections(report),
        lambda name: figure(report, name),
        command="bench",
        version=report.environment["versions"]["lxcompress"],
        finished=report.finished,
    )


def heading(report: Report) -> str:
    """What is compared."""
    return HEADING if report.has_ticket else MODEL_HEADING


def headline(report: Report) -> str:
    """The run or model, its number of files and its data set, as plain text."""
    count = len(report.size.tickets or report.size.files)
    kind = "ticket file" if report.has_ticket else "file"
    files = f"{count} {kind}{'' if count == 1 else 's'}"
    return f"{one_line(report.name)}: {files} on {_data(report)}"


def _data(report: Report) -> str:
    return one_line(report.dataset.name) if report.dataset else "generated questions"


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
            tables.answers(report),
            ["accuracy"] if report.accuracy else [],
        ),
        Section("Method", _method(report), [machine_table(_about(report), report.environment)]),
    ]


def _structure(report: Report) -> list[Section]:
    """The section on heads and neurons, of a ticket that has lost any."""
    if not report.network.units:
        return []
    return [Section("Structure", report.findings["structure"], tables.units(report), ["layers"])]


def _method(report: Report) -> list[str]:
    return [
        _questions(report),
        _latency(report),
        "Multiply-adds are those of the matrix products of linear layers and attention, computed "
        "from the shapes; what no answer depends on is not counted.",
        "ONNX files run in ONNX Runtime after lxcompress has decoded their weights; on CUDA, int8 "
        "is decoded to fp16. Every load is timed in a new process, with the file in the page "
        "cache; memory is the increase over the process before the load.",
        *([_accuracy(report.accuracy)] if report.accuracy else []),
    ]


def _questions(report: Report) -> str:
    if report.dataset is None:
        return (
            f"All systems answer the same {report.agreement.questions:,} generated questions: "
            "random words of the vocabulary and random regions, the same on every machine. Real "
            "questions and pictures differ in length and in the number of regions, and so in "
            "latency; --data measures it."
        )
    split = report.accuracy.split if report.accuracy else "val"
    return (
        f"All systems answer the same {report.agreement.questions:,} questions: the {split} split "
        f"of {one_line(report.dataset.name)}."
    )


def _latency(report: Report) -> str:
    batch = report.latency[0]
    speedup = (
        "Speedup is the median over rounds of the dense system's time divided by the ticket's, "
        "with the exact interval of a median; above 1 the ticket is faster. The steps from "
        "PyTorch eager to a ticket's file"
        if report.has_ticket
        else "Speedup is the median over rounds of the other system's time divided by the file's, "
        "with the exact interval of a median; above 1 the file is faster. The steps from PyTorch "
        "eager to a file"
    )
    return (
        "Latency is the time from a batch's arrays to logits on the host, without reading "
        "pictures, detection and tokenization. Every round runs each system once, in random order, "
        "so that drift of the machine affects all systems alike. Batches are of "
        f"{'real' if report.dataset else 'these'} questions drawn at random, padded to the longest "
        f"of the batch: {min(batch.tokens)} to {max(batch.tokens)} tokens at batch "
        f"{batch.batch_size}. {speedup} are measured in the same rounds; each is such a median, so "
        "their product may differ slightly from what they gain together. Two systems are called "
        f"equally fast if that interval includes 1 and lies within {EQUAL_WITHIN:.0%} of it, or "
        f"lies within {NOISE:.0%} of it. The control is the dense fp32 file in a second session, "
        "compared with the first."
    )


def _accuracy(accuracy: Accuracies) -> str:
    return (
        f"Accuracy intervals are percentile bootstraps over pictures ({accuracy.resamples:,} "
        f"resamples, seed {accuracy.seed}), paired where two systems are compared: all questions "
        "about a picture are resampled together, because they are not independent. McNemar's "
        "exact test counts a question with a score above 0.5 as correct (with ten human answers: "
        "at least two people gave the answer), and takes pictures as its units too: it asks "
        "whether one system answers more questions about a picture correctly more often than the "
        "other does. Its p-values are not adjusted for multiple comparisons. A difference in "
        "accuracy is called significant if its interval excludes 0. "
        f"All intervals have {CONFIDENCE:.0%} confidence."
    )


def _about(report: Report) -> list[tuple[str, str]]:
    about = [
        ("command", report.command),
        ("finished", report.finished),
        ("run" if report.has_ticket else "model", report.name),
    ]
    if report.dataset is not None:
        about.append(("data fingerprint", report.dataset.fingerprint))
    return about
