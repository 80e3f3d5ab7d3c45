"""Retrained subnetworks against the dense model: by how much, and whether that is chance.

Pictures are what is resampled, with all their questions; the seeds are those of the sweep. Scores
are graded (0, 30, 60, 90 or 100% of a question), so that many differences are equal: counts are
drawn, not each of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import get_args

import numpy as np

from benchmarks.measure.statistics import RESAMPLES, Scores, bootstrap_mean
from benchmarks.report.record import Interval
from benchmarks.sweep.schema import Comparison, Report, Subnetwork

SEED = 0  # of the resampling
LEVEL = 0.05

Ticket = tuple[str, float, int]  # subnetwork, sparsity, seed


def compare(
    dense: Mapping[int, Scores], tickets: Mapping[Ticket, Scores], pictures: Sequence[Hashable]
) -> list[Comparison]:
    """Each subnetwork and sparsity against the dense models of the same seeds.

    `dense` by seed and `tickets` by (subnetwork, sparsity, seed) hold the percent of every question
    `[N]`, in one order; `pictures` `[N]` is what each is about. Differences are first averaged over
    seeds, question by question. ValueError where scores are not aligned or a seed has no dense
    model.
    """
    found = []
    for subnetwork in get_args(Subnetwork):
        seeds: dict[float, list[int]] = {}
        for name, sparsity, seed in sorted(tickets):
            if name == subnetwork:
                seeds.setdefault(sparsity, []).append(seed)
        differences = {
            sparsity: by_picture(
                np.mean(
                    [_minus(tickets[subnetwork, sparsity, seed], dense, seed) for seed in of],
                    axis=0,
                ),
                pictures,
            )
            for sparsity, of in seeds.items()
        }
        adjusted = holm([p_worse(values, seed=SEED) for values in differences.values()])
        for (sparsity, values), p in zip(differences.items(), adjusted, strict=True):
            interval = bootstrap_mean(values, seed=SEED)
            base = float(np.mean([np.mean(dense[seed]) for seed in seeds[sparsity]]))
            found.append(
                Comparison(
                    subnetwork=subnetwork,
                    sparsity=sparsity,
                    seeds=seeds[sparsity],
                    difference=Interval(**vars(interval)),
                    p=p,
                    kept=1 + interval.estimate / base if base else None,
                )
            )
    return found


def by_picture(values: np.ndarray, pictures: Sequence[Hashable]) -> np.ndarray:
    """One value a picture, of the same mean as the `values [N]` of its questions.

    Questions about one picture share what is seen in it. Resampled one by one, they would make
    chance look smaller than it is; so pictures are resampled.
    """
    rows: dict[Hashable, int] = {}
    found = np.array([rows.setdefault(picture, len(rows)) for picture in pictures])
    if found.shape != values.shape:
        raise ValueError(f"{values.shape} values are about {found.shape} pictures")
    # Rounded, so that equal sums are equal and need counting once.
    sums: np.ndarray = (np.bincount(found, weights=values) * len(rows) / values.size).round(9)
    return sums


def _minus(ticket: Scores, dense: Mapping[int, Scores], seed: int) -> np.ndarray:
    if seed not in dense:
        raise ValueError(f"seed {seed} has no dense model")
    first, second = np.asarray(ticket, np.float64), np.asarray(dense[seed], np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} are no pairs")
    return first - second


def p_worse(differences: Scores, *, seed: int, resamples: int = RESAMPLES) -> float:
    """One-sided p-value of a mean of `differences [N]` below 0 by chance alone.

    The sign-flip test (Fisher, The Design of Experiments, 1935): were both as good, each difference
    would have either sign alike. A t-test would find significance in three questions of thousands,
    if these were all that differ; this test does not. It is 1 where none differs.
    """
    differences = np.asarray(differences, np.float64)
    sizes, counts = np.unique(np.abs(differences).round(9), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    # A sum of n numbers ±v is v · (2k - n), where k is binomial.
    observed = differences.sum() + 1e-9 * np.abs(differences).sum()
    random = np.random.default_rng(seed)
    as_low, rows = 0, max(1, (1 << 22) // max(1, sizes.size))
    for first in range(0, resamples, rows):
        shape = (min(rows, resamples - first), sizes.size)
        positive = random.binomial(counts, 0.5, shape)
        as_low += int(((2 * positive - counts) @ sizes <= observed).sum())
    return (1 + as_low) / (1 + resamples)


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    stepped = np.maximum.accumulate(factors * np.asarray(values, np.float64)[order])
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def is_below(comparison: Comparison) -> bool:
    """Whether the subnetwork is significantly worse than dense."""
    return comparison.p < LEVEL and comparison.difference.high < 0


def falls_at(report: Report, subnetwork: str) -> float | None:
    """The sparsity from which on every one measured is significantly below dense, if there is."""
    found = None
    for comparison in reversed(of_subnetwork(report, subnetwork)):
        if not is_below(comparison):
            break
        found = comparison.sparsity
    return found


def of_subnetwork(report: Report, subnetwork: str) -> list[Comparison]:
    """Its comparisons with dense, by ascending sparsity."""
    found = [it for it in report.against_dense if it.subnetwork == subnetwork]
    return sorted(found, key=lambda it: it.sparsity)
