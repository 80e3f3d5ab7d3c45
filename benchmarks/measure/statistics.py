"""Intervals and tests for two systems that answered the same questions, or ran in the same rounds.

VQA scores are graded: a question scores 0, 30, 60, 90 or 100%, depending on how many annotators
gave the answer. The bootstrap compares the grades themselves. McNemar's test needs correct or
wrong, and counts a score above 0.5 as correct: with the official ten answers, an answer that at
least two annotators gave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy import stats

from benchmarks.report.records import Interval
from lxcompress.system.record import Record

CONFIDENCE = 0.95
RESAMPLES = 10_000
CORRECT = 0.5  # a score above this counts as correct

Scores = Sequence[float] | np.ndarray


class McNemar(Record):
    """Questions by which of two systems answered them correctly, and the exact p-value."""

    both: int = Field(description="questions that both answered correctly (a score above 0.5)")
    only_of: int = Field(description="questions that only `of` answered correctly")
    only_against: int = Field(description="questions that only `against` answered correctly")
    neither: int = Field(description="questions that neither answered correctly")
    p: float = Field(description="exact two-sided p-value, not adjusted for other comparisons")


def bootstrap_mean(values: Scores, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The mean of `values [N]` with its percentile bootstrap interval (Efron & Tibshirani, 1993).

    For differences of two systems on the same questions this is the paired bootstrap.

    Raises:
        ValueError: There are no values.
    """
    values = np.asarray(values, np.float64)
    if not values.size:
        raise ValueError("no values to resample")
    # N draws with replacement from N values have multinomial counts of the distinct values. Scores
    # are graded, so these are few: the same distribution at a thousandth of the work.
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
    return Interval(estimate=float(values.mean()), low=low, high=high)


def paired_bootstrap(
    of: Scores, against: Scores, *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """The mean of `of - against` over the same questions `[N]`, with its interval.

    Raises:
        ValueError: The two differ in length or are empty.
    """
    # Rounded, so that equal differences are equal: the bootstrap counts distinct values.
    difference = _difference(of, against).round(7)
    return bootstrap_mean(difference, seed=seed, resamples=resamples)


def mcnemar(of: Scores, against: Scores) -> McNemar:
    """McNemar's exact test of scores 0–1 `[N]` on the same questions (Psychometrika 12, 1947).

    If the systems are equally good, each is correct (a score above 0.5) on half of the questions
    that only one of them answers correctly: a binomial test. p is 1 where there are none.
    """
    _difference(of, against)
    first, second = np.asarray(of) > CORRECT, np.asarray(against) > CORRECT
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
    """The median of `of / to` over the same rounds `[N]`, with its exact interval.

    Order statistics bound a median of any distribution (Conover, Practical Nonparametric
    Statistics, 3.2). Below six rounds no pair reaches 95%: the interval is then the whole range.
    """
    _difference(of, to)
    ratios = np.sort(np.asarray(of, np.float64) / np.asarray(to, np.float64))
    below = int(stats.binom.ppf((1 - CONFIDENCE) / 2, ratios.size, 0.5))
    first = max(below - 1, 0)
    low, high = ratios[first], ratios[ratios.size - 1 - first]
    return Interval(estimate=float(np.median(ratios)), low=float(low), high=float(high))


def _difference(of: Scores, against: Scores) -> np.ndarray:
    first, second = np.asarray(of, np.float64), np.asarray(against, np.float64)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(f"{first.shape} and {second.shape} are no pairs")
    return first - second
