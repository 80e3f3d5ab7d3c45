"""The tables of a sweep's report, as plain text in cells. "–" is what was not measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.report.numbers import p_value, points
from benchmarks.report.sections import Table
from benchmarks.sweep.published import Figures, Spread, published
from benchmarks.sweep.schema import Accuracy, Cell, Report
from benchmarks.sweep.significance import of_subnetwork

KINDS = ("overall", "yes/no", "number", "other")
NAMES = {"low": "low-magnitude", "high": "high-magnitude", "random": "random"}
SPLITS = ("test-dev", "test-std")
NOTHING = "–"
_GREW_BACK = 1e-3  # of the prunable weights; a mask is exact to one weight


def percent(fraction: float) -> str:
    """Of a sparsity, without needless digits."""
    return f"{100 * fraction:.3g}%"


def near_half(report: Report) -> float | None:
    """The measured sparsity nearest to the paper's, the smaller of two; None without any."""
    paper = published().paper.sparsity
    # Rounded, as 0.6 - 0.5 is not quite 0.5 - 0.4.
    measured = sorted({cell.sparsity for cell in report.cells})
    return min(measured, key=lambda it: round(abs(it - paper), 9), default=None)


def mean(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation over seeds."""
    if not values:
        return NOTHING
    return _spread(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)


def _spread(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")


def _by_type(accuracies: Sequence[Accuracy], kinds: Sequence[str] = KINDS) -> list[str]:
    return [
        mean([value for accuracy in accuracies if (value := accuracy.get(kind)) is not None])
        for kind in kinds
    ]


def overall(accuracies: Sequence[Accuracy]) -> str:
    """Over all questions."""
    return _by_type(accuracies, ["overall"])[0]


def _few(report: Report, cells: Sequence[Cell]) -> str:
    """Says so where some seeds are missing."""
    count = len(cells)
    return f" ({count} seed{'s' if count > 1 else ''})" if 0 < count < len(report.seeds) else ""


def table1(report: Report, splits: Sequence[str] = SPLITS) -> Table:
    """The paper's Table 1: measured rows, then the published ones of those splits of VQA v2."""
    data, paper = f"{report.dataset['name']}, val", published().paper
    rows = [["dense", "0%", data, *_by_type([dense.accuracy for dense in report.dense])]]
    half = near_half(report)
    for subnetwork in report.subnetworks if half is not None else ():
        assert half is not None
        cells = report.select(subnetwork, half)
        figures = _by_type([cell.retrained for cell in cells])
        name = NAMES[subnetwork] + _few(report, cells)
        rows.append([name, percent(half), data, *figures])
    for row in paper.table1:
        # "LXMERT" itself is the dense model; other methods remove no single weights.
        method = row.method.partition("LXMERT (")[2].rstrip(")") or row.method
        sparsity = percent(paper.sparsity) if method != row.method else NOTHING
        if method == "LXMERT":
            method, sparsity = "dense", "0%"
        for split in splits:
            figures = _published(row.test_dev if split == "test-dev" else row.test_std)
            rows.append([f"published: {method}", sparsity, f"VQA v2, {split}", *figures])
    seeds = len(report.dense)
    title = f"%, mean ± std of {seeds} seeds" if seeds > 1 else "%"
    columns = [title, "sparsity", "data", *KINDS]
    return Table("Table 1: accuracy by answer type", columns, rows, ["data"])


def _published(figures: Figures) -> list[str]:
    return [
        _spread(found.mean, found.std) if isinstance(found, Spread) else NOTHING
        for found in (figures.get(kind) for kind in KINDS)
    ]


def every_sparsity(report: Report) -> Table:
    """All cells: retrained by type, and the stages before."""
    rows = []
    for subnetwork in report.subnetworks:
        for sparsity in report.sparsities:
            cells = report.select(subnetwork, sparsity)
            rows.append(
                [
                    subnetwork + _few(report, cells),
                    percent(sparsity),
                    *_by_type([cell.retrained for cell in cells]),
                    overall([cell.pruned for cell in cells]),
                    overall([cell.reset for cell in cells]),
                ]
            )
    columns = ["subnetwork", "sparsity", *KINDS, "after pruning", "reset"]
    caption = "Retrained, %, by answer type; before that, overall: after pruning and reset"
    return Table(caption, columns, rows)


def against_dense(report: Report) -> Table:
    """Differences from the dense models of the same seeds."""
    rows = [
        [
            NAMES[subnetwork],
            percent(it.sparsity),
            points(it.difference),
            p_value(it.p).removeprefix("= "),
            NOTHING if it.kept is None else f"{it.kept:.1%}",
        ]
        for subnetwork in report.subnetworks
        for it in of_subnetwork(report, subnetwork)
    ]
    columns = [
        "subnetwork",
        "sparsity",
        "retrained − dense",
        "p (worse), adjusted",
        "of dense accuracy",
    ]
    return Table("Retrained against dense, overall", columns, rows)


def grew_back(report: Report) -> list[Cell]:
    """The cells whose network ended with fewer zeros than its mask."""
    return [it for it in report.cells if it.zeros.prunable < it.zeros.asked - _GREW_BACK]


def procedure(report: Report) -> str:
    """How a sweep treated masks, in few words."""
    enforced = "enforced" if report.settings.get("enforce-mask", True) else "not enforced"
    return f"mask {enforced}, scope {report.settings.get('scope', 'global')}"


def zeros(cells: Sequence[Cell]) -> str:
    """Of the prunable weights after retraining, mean over seeds."""
    return f"{statistics.mean(it.zeros.prunable for it in cells):.2%}" if cells else NOTHING


def protocol(report: Report) -> Table:
    """Zeros that were asked for and those that were left, of these cells and those beside."""
    sweeps = [report, *([report.beside] if report.beside else [])]
    texts = [procedure(sweep) for sweep in sweeps]
    if len(set(texts)) < len(texts):
        texts = [f"{text} ({which})" for text, which in zip(texts, ("here", "beside"), strict=True)]
    pairs = {(it.subnetwork, it.sparsity) for it in report.cells}
    rows = []
    for subnetwork, sparsity in sorted(pairs, key=lambda it: (list(NAMES).index(it[0]), it[1])):
        row = [NAMES[subnetwork], percent(sparsity)]
        for sweep in sweeps:
            cells = sweep.select(subnetwork, sparsity)
            row += [zeros(cells), overall([cell.retrained for cell in cells])]
        rows.append(row)
    columns = ["subnetwork", "asked"]
    for text in texts:
        columns += [f"{text}: zeros after retraining", "accuracy, %"]
    return Table("Zeros asked for, zeros after retraining, and accuracy", columns, rows)


def minival() -> Table:
    """The authors' logs, of a procedure that does not enforce masks."""
    logs = published().authors_minival
    rows = [["dense", "0%", NOTHING, mean([logs.dense])]]
    for subnetwork, name in NAMES.items():
        for sparsity in sorted({run.sparsity for run in logs.runs}):
            runs = [
                run
                for run in logs.runs
                if run.subnetwork == subnetwork and run.sparsity == sparsity
            ]
            reset, retrained = (
                mean([getattr(run, stage) for run in runs])
                for stage in ("accuracy_reset", "accuracy_retrained")
            )
            rows.append([name, percent(sparsity), reset, retrained])
    caption = "Published: the authors' logs, VQA v2 minival, soft score, %"
    return Table(caption, ["subnetwork", "asked", "reset", "retrained"], rows)


def failed(report: Report) -> Table:
    """What is missing, and why."""
    rows = [[failure.cell, failure.message] for failure in report.failures]
    return Table("Runs that could not be finished", ["run", "why"], rows, ["why"])


def about(report: Report) -> list[tuple[str, str]]:
    """What was measured; it goes before the machine."""
    return [
        ("command", report.command),
        ("finished", report.finished),
        ("last call", f"{report.cells_run:,} cells in {report.wall_seconds:,.0f} s"),
        ("settings", _settings(report)),
        ("data fingerprint", str(report.dataset["fingerprint"])),
    ]


def _settings(report: Report) -> str:
    return ", ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in report.settings.items()
        if value is not None
    )
