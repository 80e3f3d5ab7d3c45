"""What the figures of a sweep say, in words. Every sentence is computed from the report."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report.numbers import p_value, points
from benchmarks.sweep.published import published
from benchmarks.sweep.schema import Comparison, Report
from benchmarks.sweep.significance import LEVEL, falls_at, is_below, of_subnetwork
from benchmarks.sweep.tables import NAMES, grew_back, near_half, overall, percent, procedure

# Between sweeps that are shown together: the procedure, what was swept, and how it was computed.
_EXPECTED_TO_DIFFER = {
    *("scope", "enforce-mask", "subnetworks", "sparsities", "seeds"),
    *("threads", "workers", "tensorboard"),
}


def summary(report: Report) -> list[str]:
    """The findings, most important first; "Subject: sentence." Plain text, no mark-up."""
    if not report.cells:
        return [f"Nothing was finished: {_count(len(report.failures), 'run')} failed."]
    return [
        *_low(report),
        *_falls(report),
        *_order(report),
        *([f"Zeros: {' '.join(found)}"] if (found := grown(report)) else []),
        *_missing(report),
    ]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"mean of {count} seeds"


def _low(report: Report) -> Iterator[str]:
    """What the ticket keeps at the paper's sparsity, and at the highest that costs nothing."""
    compared = {it.sparsity: it for it in of_subnetwork(report, "low")}
    half = near_half(report)
    if half in compared:
        text = _kept(report, compared[half])
        yield f"Low-magnitude at {percent(half)}: {text[:1].upper()}{text[1:]}"
    harmless = [sparsity for sparsity, it in compared.items() if not is_below(it)]
    if harmless and (most := max(harmless)) != half:
        yield (
            f"Highest sparsity without significant loss: Low-magnitude at {percent(most)} "
            f"{_kept(report, compared[most])}"
        )


def _kept(report: Report, it: Comparison) -> str:
    accuracy = overall([cell.retrained for cell in report.select(it.subnetwork, it.sparsity)])
    dense = overall([found.accuracy for found in report.dense if found.seed in it.seeds])
    share = "has" if it.kept is None else f"keeps {it.kept:.1%} of dense accuracy,"
    return (
        f"{share} {accuracy} against {dense} ({_seeds(len(it.seeds))}). The difference is "
        f"{_against(it)}."
    )


def _against(it: Comparison) -> str:
    return f"{points(it.difference)}, adjusted p {p_value(it.p)}"


def _falls(report: Report) -> Iterator[str]:
    """Where each subnetwork loses significantly."""
    for subnetwork in report.subnetworks:
        compared = of_subnetwork(report, subnetwork)
        if not compared:
            continue
        last, start = compared[-1], falls_at(report, subnetwork)
        below = [it for it in compared if is_below(it)]
        shown, verdict = last, "Significantly below"
        if not below:
            verdict = "Not significantly below"
            many = f"any sparsity measured, up to {percent(last.sparsity)}"
            where = many if len(compared) > 1 else f"{percent(last.sparsity)}"
        elif start is None:
            where = f"{_listed(below)}, but not at the highest, {percent(last.sparsity)}"
        else:
            shown = next(it for it in compared if it.sparsity == start)
            onwards = "" if shown is last else " and at every higher sparsity measured"
            before = [it for it in below if it.sparsity < start]
            where = f"{percent(start)}{onwards}"
            where += f", and at {_listed(before)}" if before else ""
        yield (
            f"{NAMES[subnetwork].capitalize()} against dense: {verdict} at {where}. "
            f"At {percent(shown.sparsity)} the difference is {_against(shown)}."
        )


def _listed(found: list[Comparison]) -> str:
    *others, last = [percent(it.sparsity) for it in found]
    return f"{', '.join(others)} and {last}" if others else last


def _order(report: Report) -> Iterator[str]:
    """The subnetworks by accuracy at the paper's sparsity, and the paper's own order."""
    half, paper = near_half(report), published().paper
    assert half is not None
    found: dict[str, dict[int, float]] = {}
    for subnetwork in report.subnetworks:
        for cell in report.select(subnetwork, half):
            if (value := cell.retrained["overall"]) is not None:
                found.setdefault(subnetwork, {})[cell.seed] = value
    if len(found) < 2:
        return
    means = {name: statistics.mean(values.values()) for name, values in found.items()}
    order = sorted(means, key=lambda name: -means[name])
    theirs = {name: paper.row(name).test_dev["overall"].mean for name in means}
    expected = sorted(theirs, key=lambda name: -theirs[name])
    shared = set.intersection(*(set(values) for values in found.values()))
    held = [
        seed
        for seed in shared
        if all(found[a][seed] > found[b][seed] for a, b in zip(order, order[1:], strict=False))
    ]
    ranked = _ranked(order, means)
    text = f"Order at {percent(half)}: {ranked[:1].upper()}{ranked[1:]}"
    if len(shared) > 1:
        text += f"; each above the next in {len(held)} of {len(shared)} seeds"
    same = "the same order" if order == expected else "another order"
    yield (
        f"{text}. The paper has {same} at {percent(paper.sparsity)} of VQA v2, test-dev: "
        f"{_ranked(expected, theirs)}."
    )


def _ranked(order: list[str], accuracy: dict[str, float]) -> str:
    return ", ".join(f"{NAMES[name]} {accuracy[name]:.2f}" for name in order)


def grown(report: Report) -> list[str]:
    """What became of the zeros; nothing where every sweep kept all of them."""
    found = []
    for sweep in (report, *([report.beside] if report.beside else [])):
        cells, how = sweep.cells, procedure(sweep)
        if lost := grew_back(sweep):
            asked = _range([it.zeros.asked for it in lost])
            left = _range([it.zeros.prunable for it in lost])
            found.append(
                f"With {how}, zeros grew back while retraining in {len(lost):,} of "
                f"{_count(len(cells), 'network')}: {asked} of the prunable weights were asked for, "
                f"{left} were zero at the end. Such an accuracy is not that of a sparse network."
            )
        elif report.beside or not sweep.settings.get("enforce-mask", True):
            found.append(
                f"With {how}, all of {_count(len(cells), 'network')} ended with the zeros that "
                "were asked for."
            )
    if report.beside and (others := _differences(report, report.beside)):
        found.append(f"The two sweeps also differ in {'; '.join(others)}.")
    return found


def _differences(report: Report, beside: Report) -> list[str]:
    """Settings other than the procedure's in which two sweeps are not the same."""
    ours, theirs = report.settings, beside.settings
    return [
        f"{name} ({ours.get(name)} here, {theirs.get(name)} beside)"
        for name in sorted((ours.keys() | theirs.keys()) - _EXPECTED_TO_DIFFER)
        if ours.get(name) != theirs.get(name)
    ]


def _range(fractions: list[float]) -> str:
    low, high = (percent(end) for end in (min(fractions), max(fractions)))
    return low if low == high else f"{low} to {high}"


def of_the_logs() -> str:
    """What the published table is."""
    logs = published().authors_minival
    return (
        "The second table is published, not measured here: the authors' own logs of a procedure "
        f"that does not enforce the mask, with {logs.dense:.2f} for the dense model."
    )


def beside_published(report: Report) -> str:
    """How measured and published rows may be compared."""
    paper = published().paper
    return (
        f"Rows marked published are the paper's own (arXiv {paper.arxiv}: the full-size LXMERT on "
        f"the test splits of VQA v2, {paper.seeds} seeds where there is a ±), not measured here. "
        f"The others are of the {report.questions:,} validation questions of "
        f"{report.dataset['name']}: compare distances from dense, not the figures themselves."
    )


def _missing(report: Report) -> Iterator[str]:
    if report.failures:
        yield (
            f"Missing: {_count(len(report.failures), 'run')} could not be finished "
            "(see What failed); all other figures stand without them."
        )


def _stages(settings: Mapping[str, Any]) -> str:
    """What the stages of a cell are, as the procedure has it."""
    begin = {"late": "the dense model's early weights", "lr": "the trained weights"}.get(
        settings.get("rewind", "weights"), "θ0"
    )
    how = "under it" if settings.get("enforce-mask", True) else "from there without it"
    paper = settings.get("schedule", "paper") == "paper"
    pruned = "the dense model" if paper else "the network of the round before"
    return (
        f"Reset is θ0 under the mask, after pruning {pruned} under it, retrained {begin} under it, "
        f"trained again {how}."
    )


def method(report: Report) -> list[str]:
    """How the figures came about."""
    return [
        f"{report.metric}, on {report.questions:,} questions of the validation split of "
        f"{report.dataset['name']}, the same for every network.",
        f"The subnetworks of a seed share its θ0 and its dense model. {_stages(report.settings)}",
        "Differences are paired: of every question, the mean over seeds of retrained less dense. "
        "Intervals of 95% are percentile bootstraps over pictures, whose questions stay together; "
        "p is of a one-sided sign-flip test over pictures, adjusted by Holm's method for the "
        "sparsities of its subnetwork. "
        f"Significantly below dense means p under {LEVEL} and the interval below 0. Another choice "
        "of seeds is not in them; the ± of the tables shows how much seeds differ.",
    ]
