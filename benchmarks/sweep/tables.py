"""The tables of a sweep's report. Cells are plain text; "–" is a missing value."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.report.numbers import p_value, points
from benchmarks.report.sections import Table
from benchmarks.sweep.published import Spread, Spreads, published
from benchmarks.sweep.schema import Cell, Report
from lxcompress.choices import Criterion, Pattern, Rewind, Schedule, Scope, Subnetwork
from lxcompress.result import Accuracy

ANSWER_TYPES = ("overall", "yes/no", "number", "other")
NAMES: dict[str, str] = {
    Subnetwork.LOW: "low-magnitude",
    Subnetwork.HIGH: "high-magnitude",
    Subnetwork.RANDOM: "random",
}
CONTROL = "dense, trained as long"
SPLITS = ("test-dev", "test-std")
MISSING = "–"
_REGROWN = 1e-3  # fraction of the prunable weights; a mask is exact to one weight


def name_of(report: Report, subnetwork: str) -> str:
    """Return the name of a subnetwork, by what it was ranked by."""
    if subnetwork == Subnetwork.RANDOM or report.criterion == Criterion.MAGNITUDE:
        return NAMES[subnetwork]
    return f"{subnetwork}-{report.criterion.capitalize()}"


def percent(fraction: float) -> str:
    """Format a sparsity in percent, with up to three digits."""
    return f"{100 * fraction:.3g}%"


def nearest_to_paper(report: Report) -> float | None:
    """The measured sparsity nearest to the paper's, the lower of two; None without any cell."""
    paper = published().paper.sparsity
    # Rounded, because 0.6 - 0.5 and 0.5 - 0.4 differ in floating point.
    return min(
        sorted({cell.sparsity for cell in report.cells}),
        key=lambda sparsity: round(abs(sparsity - paper), 9),
        default=None,
    )


def mean(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation over seeds."""
    if not values:
        return MISSING
    return _spread(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)


def _spread(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")


def _by_type(accuracies: Sequence[Accuracy], types: Sequence[str] = ANSWER_TYPES) -> list[str]:
    return [
        mean([value for accuracy in accuracies if (value := accuracy.get(kind)) is not None])
        for kind in types
    ]


def overall(accuracies: Sequence[Accuracy]) -> str:
    """Mean ± sample standard deviation over seeds of the overall accuracy."""
    return _by_type(accuracies, ["overall"])[0]


def _seeds_note(report: Report, cells: Sequence[Cell]) -> str:
    """The number of seeds, where some are missing."""
    count = len(cells)
    return f" ({count} seed{'s' if count > 1 else ''})" if 0 < count < len(report.seeds) else ""


def table1(report: Report, splits: Sequence[str] = SPLITS) -> Table:
    """The paper's Table 1: measured rows, then the published ones of those splits of VQA v2."""
    data, paper = f"{report.dataset['name']}, val", published().paper
    rows = [["dense", "0%", data, *_by_type([dense.accuracy for dense in report.dense])]]
    sparsity = nearest_to_paper(report)
    if sparsity is not None:
        if controls := report.controls(sparsity):
            rows.append([CONTROL, "0%", data, *_by_type(controls)])
        for subnetwork in report.subnetworks:
            cells = report.select(subnetwork, sparsity)
            accuracies = _by_type([cell.retrained for cell in cells])
            name = name_of(report, subnetwork) + _seeds_note(report, cells)
            rows.append([name, percent(sparsity), data, *accuracies])
    for row in paper.table1:
        # "LXMERT" itself is the dense model; other methods do not prune weights.
        method = row.method.partition("LXMERT (")[2].rstrip(")") or row.method
        pruned = percent(paper.sparsity) if method != row.method else MISSING
        if method == "LXMERT":
            method, pruned = "dense", "0%"
        for split in splits:
            accuracies = _published(row.test_dev if split == "test-dev" else row.test_std)
            rows.append([f"published: {method}", pruned, f"VQA v2, {split}", *accuracies])
    seeds = len(report.dense)
    title = f"%, mean ± std of {seeds} seeds" if seeds > 1 else "%"
    columns = [title, "sparsity", "data", *ANSWER_TYPES]
    return Table("Table 1: accuracy by answer type", columns, rows, ["data"])


def _published(accuracies: Spreads) -> list[str]:
    return [
        _spread(found.mean, found.std) if isinstance(found, Spread) else MISSING
        for found in (accuracies.get(kind) for kind in ANSWER_TYPES)
    ]


def all_sparsities(report: Report) -> Table:
    """The accuracies of all cells: retrained by answer type, and overall at the earlier stages."""
    rows = []
    by_units = report.pattern == Pattern.STRUCTURED  # ends slightly above the target
    for subnetwork in report.subnetworks:
        for sparsity in report.sparsities:
            cells = report.select(subnetwork, sparsity)
            rows.append(
                [
                    subnetwork + _seeds_note(report, cells),
                    percent(sparsity),
                    *([final_sparsity(cells)] if by_units else []),
                    *_by_type([cell.retrained for cell in cells]),
                    overall([cell.pruned for cell in cells]),
                    overall([cell.reset for cell in cells]),
                ]
            )
    sparsities = ["target sparsity", "sparsity"] if by_units else ["sparsity"]
    columns = ["subnetwork", *sparsities, *ANSWER_TYPES, "after pruning", "reset"]
    caption = (
        "Accuracy, %: retrained, by answer type; before retraining, overall: after pruning, and "
        "reset to initial weights"
    )
    return Table(caption, columns, rows)


def differences(report: Report, *, control: bool = False) -> Table:
    """Differences from the dense models of the same seeds, or from their controls."""
    rows = [
        [
            name_of(report, subnetwork),
            percent(comparison.sparsity),
            points(comparison.difference),
            p_value(comparison.p).removeprefix("= "),
            MISSING if comparison.kept is None else f"{comparison.kept:.1%}",
        ]
        for subnetwork in report.subnetworks
        for comparison in report.comparisons(subnetwork, control=control)
    ]
    against = "control" if control else "dense"
    columns = [
        "subnetwork",
        "sparsity",
        f"retrained − {against}",
        "p (worse), adjusted",
        f"relative to {against}",
    ]
    what = f"the control ({CONTROL})" if control else "dense"
    return Table(f"Retrained subnetworks compared with {what}, overall accuracy", columns, rows)


def regrown(report: Report) -> list[Cell]:
    """The cells whose network ended with fewer zeros than its mask."""
    return [cell for cell in report.cells if cell.zeros.prunable < cell.zeros.target - _REGROWN]


def procedure(report: Report) -> str:
    """Describe how a sweep pruned: whether it enforced masks, the scope, and what is unusual."""
    enforced = "enforced" if report.settings.get("enforce-mask", True) else "not enforced"
    parts = [f"mask {enforced}", f"scope {report.settings.get('scope', Scope.GLOBAL)}"]
    papers = {
        "pattern": Pattern.UNSTRUCTURED,
        "criterion": Criterion.MAGNITUDE,
        "schedule": Schedule.PAPER,
        "rewind": Rewind.WEIGHTS,
    }
    parts += [
        f"{setting} {value}"
        for setting, usual in papers.items()
        if (value := report.settings.get(setting, usual)) != usual
    ]
    return ", ".join(parts)


def final_sparsity(cells: Sequence[Cell]) -> str:
    """The fraction of the prunable weights that is zero after retraining, mean over seeds."""
    if not cells:
        return MISSING
    return f"{statistics.mean(cell.zeros.prunable for cell in cells):.2%}"


def protocol(report: Report) -> Table:
    """Target and final sparsity and accuracy of each cell, and of the sweep beside it."""
    sweeps = [report, *([report.beside] if report.beside else [])]
    names = [procedure(sweep) for sweep in sweeps]
    if len(set(names)) < len(names):
        names = [f"{name} ({which})" for name, which in zip(names, ("here", "beside"), strict=True)]
    order = list(NAMES)
    pairs = {(cell.subnetwork, cell.sparsity) for cell in report.cells}
    rows = []
    for subnetwork, sparsity in sorted(pairs, key=lambda pair: (order.index(pair[0]), pair[1])):
        row = [name_of(report, subnetwork), percent(sparsity)]
        for sweep in sweeps:
            cells = sweep.select(subnetwork, sparsity)
            row += [final_sparsity(cells), overall([cell.retrained for cell in cells])]
        rows.append(row)
    columns = ["subnetwork", "target sparsity"]
    for name in names:
        columns += [f"{name}: sparsity after retraining", "accuracy, %"]
    return Table("Target sparsity, sparsity after retraining, and accuracy", columns, rows)


def minival() -> Table:
    """The authors' logs, of a procedure that does not enforce the mask."""
    logs = published().authors_minival
    rows = [["dense", "0%", MISSING, mean([logs.dense])]]
    for subnetwork, name in NAMES.items():
        for sparsity in sorted({run.sparsity for run in logs.runs}):
            runs = [
                run
                for run in logs.runs
                if run.subnetwork == subnetwork and run.sparsity == sparsity
            ]
            reset = mean([run.accuracy_reset for run in runs])
            retrained = mean([run.accuracy_retrained for run in runs])
            rows.append([name, percent(sparsity), reset, retrained])
    caption = "Published: the authors' logs, VQA v2 minival, soft score, %"
    return Table(caption, ["subnetwork", "target sparsity", "reset", "retrained"], rows)


def failed(report: Report) -> Table:
    """The failed runs and their error messages."""
    rows = [[failure.cell, failure.message] for failure in report.failures]
    return Table("Failed runs", ["run", "error"], rows, ["error"])


def about(report: Report) -> list[tuple[str, str]]:
    """What was measured: the rows before those of the machine."""
    return [
        ("command", report.command),
        ("finished", report.finished),
        ("last invocation", f"{report.cells_run:,} cells in {report.wall_seconds:,.0f} s"),
        ("settings", _settings(report)),
        ("data fingerprint", str(report.dataset["fingerprint"])),
    ]


def _settings(report: Report) -> str:
    return ", ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in report.settings.items()
        if value is not None
    )
