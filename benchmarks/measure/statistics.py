"""Intervals and tests for two systems that answered the same questions, or ran in the same rounds.

VQA scores are graded: a question scores 0, 30, 60, 90 or 100%, depending on how many annotators
gave the answer. The bootstrap compares the grades themselves. McNemar's test needs correct or
wrong, and counts a score above 0.5 as correct: with the official ten answers, an answer that at
least two annotators gave.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from pydantic import Field
from scipy import signal, stats

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
    p: float = Field(
        description="exact two-sided p-value over pictures, not adjusted for other comparisons"
    )


def bootstrap_mean(
    values: Scores, pictures: Sequence[Hashable], *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """The mean of `values [N]` with its percentile bootstrap interval (Efron & Tibshirani, 1993).

    Questions about the same picture are not independent, and resampling them one by one would
    underestimate the variance. So pictures are resampled, each with all its questions (the cluster
    bootstrap: Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). For
    differences of two systems on the same questions this is the paired bootstrap.

    Args:
        pictures: The picture of each value, `[N]`.

    Raises:
        ValueError: There are no values, or the two differ in length.
    """
    values = np.asarray(values, np.float64)
    if not values.size:
        raise ValueError("no values to resample")
    sums, questions = _by_picture(values, pictures)
    sums = sums.round(9)  # so that equal sums are equal
    # P draws with replacement from P pictures have multinomial counts of the distinct pairs of sum
    # and questions. Scores are graded, so these are few: the same distribution at a thousandth of
    # the work.
    distinct, counts = np.unique([sums, questions], axis=1, return_counts=True)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, (1 << 22) // counts.size)
    for first in range(0, resamples, rows):
        part = means[first : first + rows]
        drawn = random.multinomial(sums.size, counts / sums.size, part.size)
        part[:] = (drawn @ distinct[0]) / (drawn @ distinct[1])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, (tail, 100 - tail)).tolist()
    return Interval(estimate=float(values.mean()), low=low, high=high)


def paired_bootstrap(
    of: Scores,
    against: Scores,
    pictures: Sequence[Hashable],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Interval:
    """The mean of `of - against` over the same questions `[N]`, with its interval over pictures.

    Args:
        pictures: The picture of each question, `[N]`.

    Raises:
        ValueError: They differ in length or are empty.
    """
    return bootstrap_mean(_difference(of, against), pictures, seed=seed, resamples=resamples)


def mcnemar(of: Scores, against: Scores, pictures: Sequence[Hashable]) -> McNemar:
    """McNemar's exact test of scores 0–1 `[N]` on the same questions, with pictures as units.

    If the systems are equally good, then for each picture it is as likely that `of` has so many
    more correct answers (scores above 0.5) than `against` as that it has so many fewer. With one
    question a picture this is McNemar's binomial test (Psychometrika 12, 1947).

    Raises:
        ValueError: They differ in length or are empty.
    """
    _difference(of, against)
    first, second = np.asarray(of) > CORRECT, np.asarray(against) > CORRECT
    more = sums_by_picture(first.astype(np.float64) - second, pictures)
    return McNemar(
        both=int((first & second).sum()),
        only_of=int((first & ~second).sum()),
        only_against=int((second & ~first).sum()),
        neither=int((~first & ~second).sum()),
        p=_sign_flip_p(np.rint(more).astype(np.int64)),
    )


def sums_by_picture(values: np.ndarray, pictures: Sequence[Hashable]) -> np.ndarray:
    """Sum the `values [N]` of questions for each picture, in order of appearance.

    Raises:
        ValueError: The two differ in length.
    """
    return _by_picture(values, pictures)[0]


def _by_picture(values: np.ndarray, pictures: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each picture's values, and how many it has."""
    rows: dict[Hashable, int] = {}
    by_row = np.array([rows.setdefault(picture, len(rows)) for picture in pictures], np.int64)
    if by_row.shape != values.shape:
        raise ValueError(f"{values.shape} values, but {by_row.shape} pictures")
    return np.bincount(by_row, weights=values), np.bincount(by_row)


def _sign_flip_p(sums: np.ndarray) -> float:
    """Exact two-sided p-value of the total of integers, each of either sign with probability ½.

    The total of n integers ±v is v · (2k - n), where k is binomial; the distribution of the whole
    total is the convolution over the different v.
    """
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    probabilities = np.ones(1)  # of Σ v · k
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        probabilities = signal.convolve(probabilities, step)
    totals = 2 * np.arange(probabilities.size) - int(sizes @ counts)
    tail = probabilities[np.abs(totals) >= abs(int(sums.sum()))].sum()
    return float(np.clip(tail, 0, 1))


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
