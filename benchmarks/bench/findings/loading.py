"""Sentences on the loading of the files."""

from __future__ import annotations

from benchmarks.bench.schema import Loading, Report
from benchmarks.report.numbers import duration, megabytes

# With so many loads of each file, all of one are faster than all of the other by chance in 2 of 70.
_FEWEST_LOADS = 4


def loading(report: Report) -> list[str]:
    """Ticket and dense file by the same loader: another loader's gain is not one of sparsity."""
    sentences = []
    by_case = {(it.model, it.precision, it.loader): it for it in report.loading}
    for ticket in (it for it in report.loading if it.model == "ticket"):
        dense = by_case["dense", ticket.precision, ticket.loader]
        loader = "Stock ONNX Runtime" if ticket.loader == "stock" else "lxcompress's decoder"
        sentences.append(
            f"{loader} loads the {ticket.precision} ticket in {describe_load(ticket)}, the dense "
            f"{ticket.precision} file in {describe_load(dense)}. "
            f"{load_difference(ticket, dense, 'The ticket')}"
        )
    return sentences


def describe_load(loading: Loading) -> str:
    """Time and peak memory."""
    peak = megabytes(loading.peak_bytes.median)
    return f"{duration(loading.seconds.median)} (peak memory {peak})"


def load_difference(of: Loading, against: Loading, file: str) -> str:
    """Whether `file`, which was loaded as in `of`, loads faster or slower than the other."""
    ours, theirs = of.seconds.samples, against.seconds.samples
    if len(ours) < _FEWEST_LOADS:
        return f"{len(ours)} loads of each are too few to tell a difference."
    if min(ours) <= max(theirs) and min(theirs) <= max(ours):
        return f"The times of {len(ours)} loads of each overlap."
    gap = duration(abs(of.seconds.median - against.seconds.median))
    slower = of.seconds.median > against.seconds.median
    return f"Decoding costs {gap}." if slower else f"{file} loads {gap} faster."
