"""Sentences on accuracy."""

from __future__ import annotations

from benchmarks.bench.schema import Comparison, Paired, Report
from benchmarks.bench.systems import DENSE_CONTROL, pair_name
from benchmarks.report.numbers import p_value, points


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
    trained = (
        f"Dense control: trained for {report.dense_control.epochs} epochs, as long as the ticket, "
        "the dense model"
    )
    name, comparisons = DENSE_CONTROL.name, report.accuracy.comparisons
    training = next((it for it in comparisons if it.of == name), None)
    ticket = next((it for it in comparisons if it.against == name), None)
    if training is None or ticket is None:
        accuracy = report.dense_control.accuracy["overall"]
        return [
            f"{trained} reaches {accuracy:.2f}%. Its answers are not in the run's predictions/, so "
            "it is not compared."
        ]
    gain = _overall(training).difference
    if gain.includes(0):
        verdict = "longer training alone gains nothing significant"
    elif gain.estimate > 0:
        verdict = "what longer training alone gains"
    else:
        verdict = "longer training alone is a loss"
    return [
        f"{trained} changes by {points(gain)}: {verdict}. "
        f"{accuracy_of(ticket, 'The ticket against this control')}"
    ]


def _overall(comparison: Comparison) -> Paired:
    overall = comparison.by_type["overall"]
    assert overall
    return overall


def by_pruning(report: Report) -> list[Comparison]:
    """The comparisons of systems that differ in pruning alone."""
    return [it for it in report.accuracy.comparisons if it.isolates == "pruning"]


def accuracy_of(comparison: Comparison, pair: str) -> str:
    """The difference over all questions, and whether it is significant."""
    overall = _overall(comparison)
    difference, test, questions = overall.difference, overall.mcnemar, f"{overall.questions:,}"
    if test.neither == overall.questions and difference.low == difference.high == 0:
        verdict = f"neither answers any of {questions} questions correctly: not informative"
    elif difference.includes(0):
        verdict = f"no significant difference over {questions} questions"
    else:
        verdict = "the ticket is better" if difference.estimate > 0 else "the ticket is worse"
    return f"{pair}: {points(difference)}, McNemar's p {p_value(test.p)}; {verdict}."
