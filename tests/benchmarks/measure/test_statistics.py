"""Intervals and tests against scipy, formulas written out, and printed tables."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.measure.statistics import (
    bootstrap_mean,
    mcnemar,
    median_ratio,
    paired_bootstrap,
)

GRADES = (0, 0.3, 0.6, 0.9, 1)


def graded(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(GRADES, count, p=(0.3, 0.1, 0.1, 0.1, 0.4))


def test_paired_bootstrap_is_scipys() -> None:
    """scipy resamples the questions one by one; here their distinct differences are counted."""
    of, against = graded(400, 1), graded(400, 2)
    found = paired_bootstrap(of, against, range(400), seed=3)
    expected = stats.bootstrap(
        (of - against,), np.mean, method="percentile", n_resamples=20_000, batch=500, rng=4
    ).confidence_interval
    assert found.estimate == pytest.approx(np.mean(of - against))
    # Monte Carlo noise of an end is about 0.02 standard errors.
    noise = 0.08 * np.std(of - against) / math.sqrt(400)
    assert found.low == pytest.approx(expected.low, abs=noise)
    assert found.high == pytest.approx(expected.high, abs=noise)


def test_bootstrap_of_many_distinct_values() -> None:
    """More than are resampled at once."""
    values = np.random.default_rng(0).standard_normal(3000)
    found = bootstrap_mean(values, range(values.size), seed=0, resamples=4000)
    error = values.std() / math.sqrt(values.size)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_bootstrap_is_seeded_and_paired() -> None:
    of, against = graded(200, 1), graded(200, 2)
    once, again, other = (
        paired_bootstrap(of, against, range(200), seed=seed) for seed in (1, 1, 2)
    )
    assert once == again != other
    same = paired_bootstrap(of, of, range(200), seed=1)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 9), (9, 3), (20, 21), (0, 6)])
def test_mcnemar_by_hand(first: int, second: int) -> None:
    """The exact two-sided binomial test, summed term by term."""
    of = [1] * 5 + [1] * first + [0] * second + [0] * 4
    against = [1] * 5 + [0] * first + [1] * second + [0] * 4
    found = mcnemar(of, against, range(len(of)))
    assert (found.both, found.only_of, found.only_against, found.neither) == (5, first, second, 4)
    differing = first + second
    tail = sum(math.comb(differing, k) for k in range(min(first, second) + 1)) / 2**differing
    assert found.p == pytest.approx(min(1, 2 * tail))


def test_mcnemar_of_grades() -> None:
    """Correct is a score above 0.5: at least two of ten annotators gave the answer."""
    found = mcnemar([0, 0.3, 0.5, 0.6, 0.9, 1], [1, 1, 1, 1, 1, 1], range(6))
    assert (found.both, found.only_against) == (3, 3)


def test_questions_about_a_picture_are_resampled_together() -> None:
    """Eight times the same question about a picture tells no more than it does once."""
    of, against = graded(100, 1), graded(100, 2)
    eight = np.repeat(range(100), 8).tolist()
    once = paired_bootstrap(of, against, range(100), seed=0)
    found = paired_bootstrap(np.repeat(of, 8), np.repeat(against, 8), eight, seed=0)
    assert found.model_dump() == pytest.approx(once.model_dump())
    p = mcnemar(of, against, range(100)).p
    assert mcnemar(np.repeat(of, 8), np.repeat(against, 8), eight).p == pytest.approx(p)


def test_pictures_with_different_numbers_of_questions_are_resampled_as_scipy_does() -> None:
    random = np.random.default_rng(0)
    counts = random.integers(1, 9, 150)
    pictures = np.repeat(np.arange(150), counts)
    values = random.choice(GRADES, pictures.size, p=(0.05, 0.05, 0.1, 0.1, 0.7))
    found = bootstrap_mean(values, pictures.tolist(), seed=0)
    sums = np.bincount(pictures, weights=values)

    def ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis) / counts.sum(axis)

    expected = stats.bootstrap(
        (sums, counts),
        ratio,
        paired=True,
        method="percentile",
        n_resamples=20_000,
        batch=500,
        rng=1,
    )
    noise = 0.13 * float(expected.standard_error)  # four standard deviations of an end
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=noise)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=noise)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), min_size=1, max_size=40))
def test_an_interval_lies_within_the_values(questions: list[tuple[int, int]]) -> None:
    values = [value for _, value in questions]
    found = bootstrap_mean(values, [picture for picture, _ in questions], seed=0, resamples=200)
    assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6
    assert found.estimate == pytest.approx(np.mean(values))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1))
def test_mcnemar_by_picture_by_hand(rows: list[tuple[int, bool, bool]]) -> None:
    """All ways to exchange the two systems picture by picture, counted one by one."""
    pictures, of, against = ([*column] for column in zip(*rows, strict=True))
    sums = [
        sum(first - second for picture, first, second in rows if picture == wanted)
        for wanted in sorted(set(pictures))
    ]
    totals = [
        sum(sign * value for sign, value in zip(signs, sums, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(sums))
    ]
    p = np.mean([abs(total) >= abs(sum(sums)) for total in totals])
    assert mcnemar(of, against, pictures).p == pytest.approx(p)


def test_mcnemar_of_many_pictures() -> None:
    """As by the normal distribution where that is good, and never below 0."""
    random = np.random.default_rng(0)
    pictures = np.repeat(np.arange(2000), 5).tolist()
    of, against = random.random(10_000) < 0.72, random.random(10_000) < 0.7
    sums = (of * 1.0 - against).reshape(2000, 5).sum(1)
    z = abs(sums.sum()) / np.sqrt((sums**2).sum())
    assert mcnemar(of, against, pictures).p == pytest.approx(2 * stats.norm.sf(z), rel=0.05)
    assert 0 <= mcnemar(np.ones(10_000), np.zeros(10_000), pictures).p < 1e-12


def test_pictures_of_other_questions() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) values, but \(1,\) pictures"):
        mcnemar([1, 0], [0, 1], ["a"])


@pytest.mark.parametrize(("count", "low", "high"), [(6, 1, 6), (10, 2, 9), (20, 6, 15), (5, 1, 5)])
def test_median_ratio_has_the_tables_ranks(count: int, low: int, high: int) -> None:
    """Ranks of the 95% interval of a median, as printed in statistical tables."""
    ratios = np.arange(1, count + 1, dtype=float)
    shuffled = np.random.default_rng(0).permutation(ratios)
    found = median_ratio(3 * shuffled, [3.0] * count)
    assert (found.estimate, found.low, found.high) == (np.median(ratios), low, high)


def test_drift_that_both_share_does_not_change_the_median_ratio() -> None:
    """A machine that slows down threefold between two rounds."""
    assert median_ratio([2, 6, 2], [1, 3, 1]).estimate == 2


def test_median_ratio_covers() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(500):
        found = median_ratio(random.lognormal(0.1, 0.5, 30), np.ones(30))
        hits += found.low <= math.exp(0.1) <= found.high
    assert hits >= 0.93 * 500


@pytest.mark.parametrize(("of", "against"), [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_no_pairs(of: list[float], against: list[float]) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        mcnemar(of, against, [1])
    with pytest.raises(ValueError, match="no pairs"):
        median_ratio(of, against)
    with pytest.raises(ValueError, match="no pairs"):
        paired_bootstrap(of, against, [1], seed=0)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean([], [], seed=0)
