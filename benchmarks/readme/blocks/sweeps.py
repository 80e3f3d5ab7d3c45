"""The accuracies of sweeps."""

from __future__ import annotations

from benchmarks.readme.blocks.parts import measured_by, read_sweep, table
from benchmarks.report.markdown import escape, table_markdown
from benchmarks.report.numbers import points
from benchmarks.sweep import findings, tables
from benchmarks.sweep.schema import Report
from lxcompress.errors import ConfigError


def sweep() -> str:
    """Table 1 of the whole sweep, with the paper's rows, and the findings."""
    report = read_sweep("sweep")
    table = table_markdown(tables.table1(report, splits=["test-dev"]))
    sentences = "\n".join(f"- {escape(sentence)}" for sentence in findings.summary(report))
    return (
        f"{table}\n{escape(findings.published_rows(report))}\n\n{sentences}\n\n"
        f"{measured_by(report.command, report.environment)}"
    )


def sweep_time() -> str:
    """The durations of the whole and the quick sweep."""
    lines = []
    for name in ("sweep", "sweep_quick"):
        report = read_sweep(name)
        cells = len(report.cells)
        if report.cells_run != cells:
            raise ConfigError(f"{name}.json is of a sweep that was interrupted: run it in one go")
        dense = "one dense model" if len(report.dense) == 1 else f"{len(report.dense)} dense models"
        minutes = report.wall_seconds / 60
        lines.append(f"- `{report.command}`: {cells} cells and {dense} in {minutes:.1f} minutes.")
    return "\n".join(lines) + "\n"


def protocol() -> str:
    """The sparsity after retraining when the mask is not enforced, as in the authors' code."""
    report = read_sweep("sweep_protocol")
    table = table_markdown(tables.protocol(report))
    return (
        f"{table}\n{escape(' '.join(findings.regrowth(report)))}\n\n"
        f"{measured_by(report.command, report.environment)}"
    )


def structured_sweep() -> str:
    """Structured tickets of trained weights, and those rewound to θ0, beside dense and control."""
    return _structured(read_sweep("sweep_structured"))


def structured_iterative() -> str:
    """Structured tickets, pruned and trained in rounds, beside dense and control."""
    return _structured(read_sweep("sweep_structured_iterative"))


def _structured(report: Report) -> str:
    sweeps = [report, *([report.beside] if report.beside else [])]
    rows = [["dense", "0%", tables.overall([dense.accuracy for dense in report.dense]), "", ""]]
    rows += [
        [tables.CONTROL, "0%", tables.overall(controls), "", ""]
        for controls in [report.controls(report.sparsities[0])]
        if controls
    ]
    for found in sweeps:
        rewind = str(found.settings["rewind"])
        for subnetwork in found.subnetworks:
            for sparsity in found.sparsities:
                cells = found.select(subnetwork, sparsity)
                rows.append(
                    [
                        f"{tables.name_of(found, subnetwork)}, `--rewind {rewind}`",
                        tables.final_sparsity(cells),
                        tables.overall([cell.retrained for cell in cells]),
                        _difference(found, subnetwork, sparsity),
                        _difference(found, subnetwork, sparsity, control=True),
                    ]
                )
    columns = [
        f"structured, %, mean ± std of {len(report.dense)} seeds",
        *("sparsity", "overall", "− dense", "− control"),
    ]
    return f"{table(columns, rows)}\n{measured_by(report.command, report.environment)}"


def _difference(report: Report, subnetwork: str, sparsity: float, *, control: bool = False) -> str:
    for comparison in report.comparisons(subnetwork, control=control):
        if comparison.sparsity == sparsity:
            return points(comparison.difference)
    return ""
