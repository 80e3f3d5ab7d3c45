"""Sentences on the heads and neurons of a ticket's files, and on their multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bench.schema import Report, Units
from benchmarks.report.numbers import large


def structure(report: Report) -> list[str]:
    """How many heads and neurons are left, and which sublayers have none; nothing if all are."""
    units = report.network.units
    if not units:
        return []
    counts = (_count([it for it in units if it.kind == kind]) for kind in ("heads", "neurons"))
    sentences = [f"The ticket's files have {' and '.join(counts)} of the dense model."]
    gone = [f"{it.part} layer {it.layer}, {it.sublayer}" for it in units if not it.left]
    if gone:
        sentences.append(f"Sublayers without any: {'; '.join(gone)}.")
    return sentences


def _count(units: Sequence[Units]) -> str:
    left, total = sum(it.left for it in units), sum(it.of for it in units)
    return f"{left:,} of the {total:,} {units[0].kind} ({left / total:.1%})"


def multiply_adds(report: Report) -> str:
    """The multiply-adds of both networks for one question."""
    network = report.network
    assert network.ticket is not None
    question = f"a question of {network.tokens} tokens about {network.regions} regions"
    if not network.units:
        return (
            f"The ticket's files take as many multiply-adds as the dense model's for {question} "
            f"({large(network.dense)}): zeros in matrices of the same shapes are computed too."
        )
    return (
        f"For {question} the ticket's files take {large(network.ticket)} multiply-adds, "
        f"{network.share:.1%} of the {large(network.dense)} of the dense model."
    )
