"""Intervals and tests for two systems that answered the same questions, or ran in the same turns.

Scores of VQA are graded: a question's accuracy is 0, 30, 60, 90 or 100% by how many people gave the
answer. The bootstrap compares those grades as they are. McNemar's test needs right and wrong, and
takes a score above 0.5 for right: with the official ten answers, that at least two people gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
RIGHT = 0.5  # a score above this counts as right

Scores = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval, in the unit of what went in."""

    estimate: float
    low: float
    high: float


def bootstrap_mean(values: Scores, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The mean of `values [N]` with its percentile bootstrap interval (Efron & Tibshirani, 1993).

    Given differences of two systems on the same questions, it is the paired bootstrap. ValueError
    where there is no value.
    """
    values = np.asarray(values, np.float64)
    if not values.size:
        raise ValueError("no values to resample")
    # Drawing N of N values with replacement draws multinomial counts of the distinct ones. Scores
    # are graded, so there are few of those: the same distribution at a thousandth of the work.
    distinct, counts = np.unique(values, return_counts=True)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, (1 << 22) // distinct.size)
    for first in range(0, resamples, rows):
        part = means[first : first + rows]
        drawn = random.multinomial(values.size, counts / values.size, part.size)
        part[:] = drawn @ distinct / values.size
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, (tail, 100 - tail)).tolist()
    return Interval(float(values.mean()), low, high)


def paired_bootstrap(
    of: Scores, against: Scores, *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Mean of `of - against` over the same questions `[N]`, with its interval.

    ValueError where the two have not the same number of questions, or none.
    """
    return bootstrap_mean(_difference(of, against), seed=seed, resamples=resamples)


@dataclass(frozen=True)
class McNemar:
    """How many questions both, one or neither got right, and the exact two-sided p-value."""

    both: int
    only_of: int
    only_against: int
    neither: int
    p: float


def mcnemar(of: Scores, against: Scores) -> McNemar:
    """McNemar's exact test of scores 0–1 `[N]` on the same questions (Psychometrika 12, 1947).

    Of the questions on which just one is right (a score above 0.5), each is right on half of them
    if they are equally good: a binomial test. p is 1 where there is no such question.
    """
    _difference(of, against)
    first, second = np.asarray(of) > RIGHT, np.asarray(against) > RIGHT
    only_of, only_against = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_of + only_against
    return McNemar(
        both=int((first & second).sum()),
        only_of=only_of,
        only_against=only_against,
        neither=int((~first & ~second).sum()),
        p=float(stats.binomtest(only_of, differing).pvalue) if differing else 1.0,
    )


def median_ratio(of: Scores, to: Scores) -> Interval:
    """The median of `of / to` over the same turns `[N]`, with its exact interval.

    Order statistics bound a median whatever the distribution (Conover, Practical Nonparametric
    Statistics, 3.2). Under six turns none is wide enough: then it is the lowest and the highest.
    """
    _difference(of, to)
    ratios = np.sort(np.asarray(of, np.float64) / np.asarray(to, np.float64))
    below = int(stats.binom.ppf((1 - CONFIDENCE) / 2, ratios.size, 0.5))
    first = max(below - 1, 0)
    low, high = ratios[first], ratios[ratios.size - 1 - first]
    return Interval(float(np.median(ratios)), float(low), float(high))


def _difference(of: Scores, against: Scores) -> np.ndarray:
    first, second = np.asarray(of, np.float64), np.asarray(against, np.float64)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(f"{first.shape} and {second.shape} are no pairs")
    return first - second
