"""Differences of retrained subnetworks to the dense model or its control, and their significance.

Pictures are resampled, each with all its questions; the seeds are fixed. VQA scores of a question
take few values (0, 30, 60, 90 or 100%), so many differences are equal. The resampling draws how
often each value occurs, which is equivalent and faster than drawing every difference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from benchmarks.measure.statistics import RESAMPLES, Scores, bootstrap_mean, sums_by_picture
from benchmarks.sweep.schema import Comparison, Report
from lxcompress.choices import Subnetwork

SEED = 0  # of the resampling
LEVEL = 0.05  # of significance

CellKey = tuple[str, float, int]  # subnetwork, sparsity, seed


def compare(
    dense: Mapping[CellKey, Scores],
    tickets: Mapping[CellKey, Scores],
    pictures: Sequence[Hashable],
) -> list[Comparison]:
    """Compare each subnetwork at each sparsity with the dense models of the same seeds.

    Differences are first averaged over seeds, for each question.

    Args:
        dense: Percent for each question, `[N]`, by (subnetwork, sparsity, seed): of the dense
            model that a cell is compared with, or of its control.
        tickets: The same of the cells; the questions are in the same order.
        pictures: The picture of each question, `[N]`.

    Raises:
        ValueError: Scores differ in length, or a cell has no dense model.
    """
    comparisons = []
    for subnetwork in Subnetwork:
        seeds: dict[float, list[int]] = {}
        for name, sparsity, seed in sorted(tickets):
            if name == subnetwork:
                seeds.setdefault(sparsity, []).append(seed)
        differences = {
            sparsity: np.mean(
                [_difference(tickets, dense, (subnetwork, sparsity, seed)) for seed in of], axis=0
            )
            for sparsity, of in seeds.items()
        }
        by_picture = [sums_by_picture(values, pictures) for values in differences.values()]
        adjusted = holm([p_worse(sums, seed=SEED) for sums in by_picture])
        for (sparsity, values), p in zip(differences.items(), adjusted, strict=True):
            interval = bootstrap_mean(values, pictures, seed=SEED)
            keys = [(str(subnetwork), sparsity, seed) for seed in seeds[sparsity]]
            base = float(np.mean([np.mean(dense[key]) for key in keys]))
            comparisons.append(
                Comparison(
                    subnetwork=subnetwork,
                    sparsity=sparsity,
                    seeds=seeds[sparsity],
                    difference=interval,
                    p=p,
                    kept=1 + interval.estimate / base if base else None,
                )
            )
    return comparisons


def _difference(
    tickets: Mapping[CellKey, Scores], dense: Mapping[CellKey, Scores], key: CellKey
) -> np.ndarray:
    if key not in dense:
        raise ValueError(f"{key} has no dense model")
    first, second = np.asarray(tickets[key], np.float64), np.asarray(dense[key], np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"scores of shapes {first.shape} and {second.shape} cannot be paired")
    return first - second


def p_worse(differences: Scores, *, seed: int, resamples: int = RESAMPLES) -> float:
    """One-sided p-value of the mean of `differences [N]` being below 0; of pictures, their sums.

    The sign-flip test (Fisher, The Design of Experiments, 1935): under the null hypothesis, each
    difference has either sign with equal probability. If only three of thousands of questions
    differ, a t-test would call that significant; this test does not. It gives 1 if none differs.
    """
    differences = np.asarray(differences, np.float64)
    sizes, counts = np.unique(np.abs(differences).round(9), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    # The sum of n values ±v is v · (2k - n), where k is binomial.
    observed = differences.sum() + 1e-9 * np.abs(differences).sum()
    random = np.random.default_rng(seed)
    as_extreme, rows = 0, max(1, (1 << 22) // max(1, sizes.size))
    for first in range(0, resamples, rows):
        shape = (min(rows, resamples - first), sizes.size)
        positive = random.binomial(counts, 0.5, shape)
        as_extreme += int(((2 * positive - counts) @ sizes <= observed).sum())
    return (1 + as_extreme) / (1 + resamples)


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple tests (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    stepped = np.maximum.accumulate(factors * np.asarray(values, np.float64)[order])
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def is_below(comparison: Comparison) -> bool:
    """Return whether the subnetwork is significantly worse than dense."""
    return comparison.p < LEVEL and comparison.difference.high < 0


def below_from(report: Report, subnetwork: str, *, control: bool = False) -> float | None:
    """The lowest measured sparsity from which on the subnetwork is significantly below dense.

    None if it is not significantly below dense, or with `control` its control, at the highest one.
    """
    lowest = None
    for comparison in reversed(report.comparisons(subnetwork, control=control)):
        if not is_below(comparison):
            break
        lowest = comparison.sparsity
    return lowest
