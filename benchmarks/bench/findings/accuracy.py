"""Sentences on accuracy."""

from __future__ import annotations

from benchmarks.bench.schema import Comparison, Model, Report, System
from benchmarks.bench.systems import EAGER, pair_name
from benchmarks.report.numbers import p_value, points, signed
from lxcompress.result import Accuracy

CONTROL = "dense control"


def accuracy(report: Report) -> list[str]:
    compared = {pair_name(report, it, "against"): it for it in by_pruning(report)}
    sentences = [accuracy_of(comparison, pair) for pair, comparison in compared.items()]
    for pair, comparison in compared.items():
        changed = [
            f"{answer_type} {points(paired.difference)}"
            for answer_type, paired in comparison.by_type.items()
            if paired and answer_type != "overall" and not paired.difference.includes(0)
        ]
        if changed:
            sentences.append(f"By answer type, {pair}: {'; '.join(changed)}.")
    return [*sentences, *control(report)]


def control(report: Report) -> list[str]:
    """What the dense control shows: how much of the ticket's accuracy longer training explains."""
    if report.dense_control is None:
        return []
    accuracies = with_control(report)
    dense, trained, ticket = (accuracies[name]["overall"] for name in ("dense", CONTROL, "ticket"))
    assert dense is not None and trained is not None and ticket is not None
    gain = trained - dense
    alone = (
        "what longer training alone gains" if gain > 0 else "longer training alone gains nothing"
    )
    return [
        f"Dense control: trained for {report.dense_control.epochs} epochs in all, as long as the "
        f"ticket, the dense model reaches {trained:.2f}% ({signed(gain)} points: {alone}). "
        f"The ticket differs from this control by {signed(ticket - trained)} points. Only the "
        "control's accuracies are kept, not its model, so these differences have no interval."
    ]


def with_control(report: Report) -> dict[str, Accuracy]:
    """Accuracies in PyTorch of the dense model, the dense control if any, and the ticket."""
    measured = {it.system: it.accuracy for it in report.accuracy.systems}

    def estimates(model: Model) -> Accuracy:
        intervals = measured[System.of(EAGER, model, "fp32")].items()
        return {name: interval.estimate if interval else None for name, interval in intervals}

    trained = {CONTROL: report.dense_control.accuracy} if report.dense_control else {}
    return {"dense": estimates("dense"), **trained, "ticket": estimates("ticket")}


def by_pruning(report: Report) -> list[Comparison]:
    """The comparisons of systems that differ in pruning alone."""
    return [it for it in report.accuracy.comparisons if it.isolates == "pruning"]


def accuracy_of(comparison: Comparison, pair: str) -> str:
    """The difference over all questions, and whether it is significant."""
    overall = comparison.by_type["overall"]
    assert overall
    difference, test, questions = overall.difference, overall.mcnemar, f"{overall.questions:,}"
    if test.neither == overall.questions and difference.low == difference.high == 0:
        verdict = f"neither answers any of {questions} questions correctly: not informative"
    elif difference.includes(0):
        verdict = f"no significant difference over {questions} questions"
    else:
        verdict = "the ticket is better" if difference.estimate > 0 else "the ticket is worse"
    return f"{pair}: {points(difference)}, McNemar's p {p_value(test.p)}; {verdict}."
