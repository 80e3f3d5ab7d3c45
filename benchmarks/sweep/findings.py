"""The findings of a sweep as sentences, each computed from the report."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report.numbers import p_value, points
from benchmarks.sweep.published import published
from benchmarks.sweep.schema import Comparison, Report
from benchmarks.sweep.significance import LEVEL, below_from, is_below
from benchmarks.sweep.tables import (
    NAMES,
    name_of,
    nearest_to_paper,
    overall,
    percent,
    procedure,
    regrown,
)
from lxcompress.choices import Pattern, Rewind, Schedule, Subnetwork

# Settings that two sweeps shown together usually differ in: the procedure, what was swept, and how
# it was computed.
_EXPECTED_DIFFERENCES = {
    *("pattern", "criterion", "scope", "schedule", "rewind", "enforce-mask", "control"),
    *("subnetworks", "sparsities", "seeds", "threads", "workers", "tensorboard"),
}


def summary(report: Report) -> list[str]:
    """The findings, most important first, each as "Subject: sentence." in plain text."""
    if not report.cells:
        return [f"No run finished: {_count(len(report.failures), 'run')} failed."]
    zeros = regrowth(report)
    return [
        *_winning_ticket(report),
        *_significant_losses(report),
        *_significant_losses(report, control=True),
        *_ranking(report),
        *([f"Sparsity after retraining: {' '.join(zeros)}"] if zeros else []),
        *_failures(report),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _capitalize(text: str) -> str:
    """Only the first letter; `str.capitalize` lowers the others."""
    return text[:1].upper() + text[1:]


def _winning_ticket(report: Report) -> Iterator[str]:
    """The ticket at the paper's sparsity, and at the highest without loss."""
    name = _capitalize(name_of(report, Subnetwork.LOW))
    comparisons = {found.sparsity: found for found in report.comparisons(Subnetwork.LOW)}
    nearest = nearest_to_paper(report)
    if nearest in comparisons:
        text = _capitalize(_retained(report, comparisons[nearest]))
        yield f"{name} at {percent(nearest)}: {text}"
    for comparison in report.comparisons(Subnetwork.LOW, control=True):
        if comparison.sparsity == nearest:
            text = _capitalize(_retained(report, comparison, control=True))
            yield f"{name} at {percent(nearest)} against the control: {text}"
    without_loss = [sparsity for sparsity, found in comparisons.items() if not is_below(found)]
    if without_loss and (highest := max(without_loss)) != nearest:
        yield (
            f"Highest sparsity without significant loss: {name} at {percent(highest)} "
            f"{_retained(report, comparisons[highest])}"
        )


def _retained(report: Report, comparison: Comparison, *, control: bool = False) -> str:
    cells = report.select(comparison.subnetwork, comparison.sparsity)
    accuracy = overall([cell.retrained for cell in cells])
    dense = overall([model.accuracy for model in report.dense if model.seed in comparison.seeds])
    if control:
        dense = overall([cell.control.accuracy for cell in cells if cell.control])
    seeds = len(comparison.seeds)
    averaged = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    kept = comparison.kept
    whose = "the control's" if control else "dense"
    retains = "has" if kept is None else f"retains {kept:.1%} of {whose} accuracy,"
    return (
        f"{retains} {accuracy} against {dense} ({averaged}). The difference is "
        f"{_difference(comparison)}."
    )


def _difference(comparison: Comparison) -> str:
    return f"{points(comparison.difference)}, adjusted p {p_value(comparison.p)}"


def _significant_losses(report: Report, *, control: bool = False) -> Iterator[str]:
    """The sparsities at which each subnetwork is significantly below dense, or its control."""
    for subnetwork in report.subnetworks:
        comparisons = report.comparisons(subnetwork, control=control)
        if not comparisons:
            continue
        last, start = comparisons[-1], below_from(report, subnetwork, control=control)
        below = [found for found in comparisons if is_below(found)]
        shown, verdict = last, "Significantly below"
        if not below:
            verdict = "Not significantly below"
            several = f"any measured sparsity, up to {percent(last.sparsity)}"
            where = several if len(comparisons) > 1 else percent(last.sparsity)
        elif start is None:
            where = f"{_sparsities(below)}, but not at the highest, {percent(last.sparsity)}"
        else:
            shown = next(found for found in comparisons if found.sparsity == start)
            onwards = "" if shown is last else " and at every higher measured sparsity"
            lower = [found for found in below if found.sparsity < start]
            where = f"{percent(start)}{onwards}"
            where += f", and at {_sparsities(lower)}" if lower else ""
        yield (
            f"{_capitalize(name_of(report, subnetwork))} against "
            f"{'the control' if control else 'dense'}: {verdict} at {where}. "
            f"At {percent(shown.sparsity)} the difference is {_difference(shown)}."
        )


def _sparsities(comparisons: list[Comparison]) -> str:
    *others, last = [percent(comparison.sparsity) for comparison in comparisons]
    return f"{', '.join(others)} and {last}" if others else last


def _ranking(report: Report) -> Iterator[str]:
    """The subnetworks by accuracy at the paper's sparsity, and the ranking in the paper."""
    sparsity, paper = nearest_to_paper(report), published().paper
    assert sparsity is not None
    accuracies: dict[str, dict[int, float]] = {}  # by subnetwork and seed
    for subnetwork in report.subnetworks:
        for cell in report.select(subnetwork, sparsity):
            if (value := cell.retrained["overall"]) is not None:
                accuracies.setdefault(subnetwork, {})[cell.seed] = value
    if len(accuracies) < 2:
        return
    means = {name: statistics.mean(values.values()) for name, values in accuracies.items()}
    ranking = sorted(means, key=lambda name: -means[name])
    theirs = {name: paper.row(name).test_dev["overall"].mean for name in means}
    their_ranking = sorted(theirs, key=lambda name: -theirs[name])
    shared = set.intersection(*(set(values) for values in accuracies.values()))
    pairs = list(zip(ranking, ranking[1:], strict=False))
    holds = [
        seed
        for seed in shared
        if all(accuracies[better][seed] > accuracies[worse][seed] for better, worse in pairs)
    ]
    names = {name: name_of(report, name) for name in means}
    text = f"Ranking at {percent(sparsity)}: {_capitalize(_ranked(ranking, means, names))}"
    if len(shared) > 1:
        text += f"; it holds in {len(holds)} of {len(shared)} seeds"
    same = "the same ranking" if ranking == their_ranking else "another ranking"
    yield (
        f"{text}. The paper reports {same} at {percent(paper.sparsity)} on VQA v2, test-dev: "
        f"{_ranked(their_ranking, theirs, NAMES)}."
    )


def _ranked(ranking: list[str], accuracies: dict[str, float], names: Mapping[str, str]) -> str:
    return ", ".join(f"{names[name]} {accuracies[name]:.2f}" for name in ranking)


def is_unenforced(report: Report) -> bool:
    """Whether masks were not enforced, here or in the sweep beside."""
    sweeps = (report, *([report.beside] if report.beside else []))
    return not all(sweep.settings.get("enforce-mask", True) for sweep in sweeps)


def regrowth(report: Report) -> list[str]:
    """Whether pruned weights regrew; empty where masks were enforced and nothing is beside."""
    sentences = []
    for sweep in (report, *([report.beside] if report.beside else [])):
        networks, how = _count(len(sweep.cells), "network"), procedure(sweep)
        more = " or slightly above" if sweep.pattern == Pattern.STRUCTURED else ""
        if lost := regrown(sweep):
            target = _range([cell.zeros.target for cell in lost])
            final = _range([cell.zeros.prunable for cell in lost])
            sentences.append(
                f"With {how}, pruned weights regrew while retraining in {len(lost):,} of "
                f"{networks}: the target was {target} of the prunable weights, {final} were zero "
                "after retraining. Their accuracy is not that of a sparse network."
            )
        elif report.beside or not sweep.settings.get("enforce-mask", True):
            sentences.append(f"With {how}, all {networks} ended at the target sparsity{more}.")
    if report.beside and (others := _differences(report, report.beside)):
        sentences.append(f"The two sweeps also differ in {'; '.join(others)}.")
    return sentences


def _differences(report: Report, beside: Report) -> list[str]:
    """Unexpected differences between the settings of two sweeps."""
    ours, theirs = report.settings, beside.settings
    return [
        f"{name} ({ours.get(name)} here, {theirs.get(name)} beside)"
        for name in sorted((ours.keys() | theirs.keys()) - _EXPECTED_DIFFERENCES)
        if ours.get(name) != theirs.get(name)
    ]


def _range(fractions: list[float]) -> str:
    low, high = (percent(end) for end in (min(fractions), max(fractions)))
    return low if low == high else f"{low} to {high}"


def authors_logs() -> str:
    """Where the second table of "Sparsity after retraining" is from."""
    logs = published().authors_minival
    return (
        "The second table is published, not measured here: the authors' own logs of a procedure "
        f"that does not enforce the mask, with {logs.dense:.2f} for the dense model."
    )


def published_rows(report: Report) -> str:
    """How measured and published rows of Table 1 compare."""
    paper = published().paper
    return (
        f"Rows marked published are the paper's own (arXiv {paper.arxiv}: the full-size LXMERT on "
        f"the test splits of VQA v2, {paper.seeds} seeds where there is a ±), not measured here. "
        f"The others are measured on the {report.questions:,} validation questions of "
        f"{report.dataset['name']}: compare differences from dense, not absolute accuracies."
    )


def _failures(report: Report) -> Iterator[str]:
    if report.failures:
        yield (
            f"Failed: {_count(len(report.failures), 'run')} did not finish (see Failed runs); "
            "the other figures do not depend on them."
        )


def _stages(settings: Mapping[str, Any]) -> str:
    """The stages of a cell under the sweep's procedure."""
    start = {
        Rewind.WEIGHTS: "rewound to θ0",
        Rewind.LATE: "rewound to the dense model's early weights",
        Rewind.LR: "with only the learning rate rewound",
    }[settings.get("rewind", Rewind.WEIGHTS)]
    enforced = settings.get("enforce-mask", True)
    how = "with the mask enforced" if enforced else "without enforcing the mask"
    paper = settings.get("schedule", Schedule.PAPER) == Schedule.PAPER
    pruned = "the dense model" if paper else "the network of the previous round"
    return (
        f"Reset is θ0 with the mask applied; after pruning is {pruned} with the mask applied; "
        f"retrained is the subnetwork, {start} and fine-tuned again {how}."
    )


def method(report: Report) -> list[str]:
    """How the results were obtained."""
    return [
        f"{report.metric}, on {report.questions:,} questions of the validation split of "
        f"{report.dataset['name']}, the same for every network.",
        f"The subnetworks of a seed share θ0 and the dense model. {_stages(report.settings)}",
        *(
            ["The control is the dense model trained for as many epochs in all as the tickets."]
            if report.has_control
            else []
        ),
        "Differences are paired: retrained minus dense, or its control, for each question, "
        "averaged over seeds. Intervals are 95% percentile bootstrap intervals over pictures;"
        " all questions about a picture are resampled together. p is from a one-sided sign-"
        "flip test over pictures, adjusted by Holm's method for the sparsities of the "
        f"subnetwork. Significantly below dense means p < {LEVEL} and an interval below 0. "
        "Neither accounts for the choice of seeds; the ± in the tables shows how much seeds "
        "differ.",
    ]
