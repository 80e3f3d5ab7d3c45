"""Sentences on accuracy."""

from __future__ import annotations

from benchmarks.bench.schema import Comparison, Paired, Report
from benchmarks.bench.systems import DENSE_CONTROL, pair_name
from benchmarks.report.numbers import p_value, points


def accuracy(report: Report) -> list[str]:
    """Each ticket file against the dense file of its precision, and the dense control."""
    assert report.accuracy is not None
    systems = [it.system for it in report.accuracy.systems]
    compared = {pair_name(it, systems, "against"): it for it in by_pruning(report)}
    sentences = [accuracy_of(comparison, pair) for pair, comparison in compared.items()]
    for pair, comparison in compared.items():
        sentences += by_answer_type(comparison, pair)
    return [*sentences, *control(report)]


def by_answer_type(comparison: Comparison, pair: str) -> list[str]:
    """The answer types whose accuracy differs significantly; nothing if none does."""
    changed = [
        f"{answer_type} {points(paired.difference)}"
        for answer_type, paired in comparison.by_type.items()
        if paired and answer_type != "overall" and not paired.difference.includes(0)
    ]
    return [f"By answer type, {pair}: {'; '.join(changed)}."] if changed else []


def control(report: Report) -> list[str]:
    """What the dense control shows: how much of the ticket's accuracy longer training explains."""
    if report.dense_control is None or report.accuracy is None:
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
    comparisons = report.accuracy.comparisons if report.accuracy else []
    return [it for it in comparisons if it.isolates == "pruning"]


def accuracy_of(comparison: Comparison, pair: str, of: str = "the ticket") -> str:
    """The difference over all questions, and whether it is significant; `of` names the first."""
    overall = _overall(comparison)
    difference, test, questions = overall.difference, overall.mcnemar, f"{overall.questions:,}"
    if test.neither == overall.questions and difference.low == difference.high == 0:
        verdict = f"neither answers any of {questions} questions correctly: not informative"
    elif difference.includes(0):
        verdict = f"no significant difference over {questions} questions"
    else:
        verdict = f"{of} is {'better' if difference.estimate > 0 else 'worse'}"
    return f"{pair}: {points(difference)}, McNemar's p {p_value(test.p)}; {verdict}."
