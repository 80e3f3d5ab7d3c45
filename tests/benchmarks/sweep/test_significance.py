"""A sweep's statistics against scipy, enumeration and figures worked out by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from swept import changed, drawn, swept

from benchmarks.measure.statistics import paired_bootstrap
from benchmarks.sweep.schema import Report
from benchmarks.sweep.significance import SEED, by_picture, compare, falls_at, holm, p_worse


def test_holm_by_hand() -> None:
    # Sorted .005 × 4, .01 × 3, .03 × 2, .04 × 1; the last may not be under the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize(
    "differences",
    [[-3, 1, -2, -5, 4, -1, 0, -2], [-1] * 6, [30, -60, -60, 10, 100 / 3, -100 / 3, -20]],
)
def test_p_is_that_of_all_signs(differences: list[float]) -> None:
    """All 2^n of them."""
    total = sum(differences)
    sums = [
        sum(sign * abs(value) for sign, value in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    exact = np.mean([value <= total + 1e-9 for value in sums])
    assert p_worse(differences, seed=0, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_p_is_scipys() -> None:
    """Its permutation test of one sample, which draws every sign by itself."""
    differences = drawn(0.6, 1)[:200] - drawn(0.63, 2)[:200]
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        alternative="less",
        n_resamples=9999,
        vectorized=True,
        rng=np.random.default_rng(3),
    ).pvalue
    assert 0.001 < found < 0.5
    assert p_worse(differences, seed=4) == pytest.approx(found, abs=0.02)
    assert p_worse(differences, seed=4) + p_worse(-differences, seed=4) == pytest.approx(
        1, abs=0.05
    )


def test_three_questions_are_no_proof() -> None:
    differences = np.zeros(4000)
    assert p_worse(differences, seed=0) == 1
    differences[:3] = -100
    assert stats.ttest_1samp(differences, 0, alternative="less").pvalue < 0.05
    assert p_worse(differences, seed=0) == pytest.approx(1 / 8, abs=0.02)


def test_p_keeps_its_level() -> None:
    """Of two equally good networks, one in twenty is called worse."""
    random = np.random.default_rng(0)
    called = [
        p_worse(random.choice([-100, -40, 0, 0, 40, 100], 60), seed=seed, resamples=500) < 0.05
        for seed in range(400)
    ]
    assert 0.02 < np.mean(called) < 0.08


def test_compare_by_hand() -> None:
    dense = {0: drawn(0.9, 0), 1: drawn(0.9, 1)}
    tickets = {
        ("random", 0.5, 0): drawn(0.7, 2),
        ("low", 0.5, 1): drawn(0.89, 3),
        ("low", 0.5, 0): drawn(0.89, 4),
        ("low", 0.1, 1): dense[1],
    }
    same, half, random = compare(dense, tickets, range(len(dense[0])))
    assert [(it.subnetwork, it.sparsity, it.seeds) for it in (same, half, random)] == [
        *(("low", 0.1, [1]), ("low", 0.5, [0, 1]), ("random", 0.5, [0]))
    ]
    assert (same.p, same.kept) == (1, 1)
    assert (same.difference.estimate, same.difference.low, same.difference.high) == (0, 0, 0)
    first, second = tickets["low", 0.5, 0], tickets["low", 0.5, 1]
    mean, base = (first + second) / 2, (dense[0] + dense[1]) / 2
    assert half.difference.estimate == pytest.approx(mean.mean() - base.mean())
    assert half.kept == pytest.approx(mean.mean() / base.mean())
    interval = paired_bootstrap(mean, base, seed=SEED)
    found = (half.difference.low, half.difference.high)
    assert found == pytest.approx((interval.low, interval.high), abs=0.15)
    assert half.p == pytest.approx(min(1, 2 * p_worse(mean - base, seed=SEED)))
    assert random.p == pytest.approx(p_worse(tickets["random", 0.5, 0] - dense[0], seed=SEED))


def test_questions_about_one_picture_stay_together() -> None:
    """Eight times the same question about a picture tells no more than it does once."""
    dense, ticket = drawn(0.9, 0), drawn(0.85, 1)
    once = compare({0: dense}, {("low", 0.5, 0): ticket}, range(len(dense)))
    eight = compare(
        {0: np.repeat(dense, 8)},
        {("low", 0.5, 0): np.repeat(ticket, 8)},
        np.repeat(np.arange(len(dense)), 8).tolist(),
    )
    assert eight == once


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-100, 100)), min_size=1, max_size=40))
def test_a_value_for_each_picture(asked: list[tuple[int, int]]) -> None:
    values = np.array([value for _, value in asked], np.float64)
    found = by_picture(values, [picture for picture, _ in asked])
    assert len(found) == len({picture for picture, _ in asked})
    assert found.mean() == pytest.approx(values.mean(), abs=1e-6)


def test_nothing_is_kept_of_nothing() -> None:
    (found,) = compare({0: [0.0, 0.0]}, {("low", 0.5, 0): [0.0, 100.0]}, ["a", "b"])
    assert found.kept is None
    assert found.difference.estimate == 50


@pytest.mark.parametrize(
    ("dense", "ticket", "says"),
    [({1: [1.0]}, [1.0], "no dense model"), ({0: [1.0, 2.0]}, [1.0], "no pairs")],
)
def test_scores_that_do_not_fit(
    dense: dict[int, list[float]], ticket: list[float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        compare(dense, {("low", 0.5, 0): ticket}, range(len(ticket)))


def judged(*below: bool) -> Report:
    """Low at 10, 30, …%, with a verdict on each."""

    def change(figures: dict) -> None:
        compared = [it for it in figures["against_dense"] if it["subnetwork"] == "low"]
        for it, worse in zip(compared, below, strict=True):
            high = -0.5 if worse else 0.5
            it |= {
                "p": 0.01 if worse else 0.3,
                "difference": {"estimate": -1, "low": -2, "high": high},
            }
        figures["against_dense"].reverse()  # the order in the file does not matter

    return changed(swept(), change)


@pytest.mark.parametrize(
    ("below", "at"),
    [
        ((False, False, False, True, True), 0.7),
        ((True, False, False, False, True), 0.9),
        ((True, True, True, True, True), 0.1),
        ((True, True, True, True, False), None),
        ((False, False, False, False, False), None),
    ],
)
def test_falls_at(below: tuple[bool, ...], at: float | None) -> None:
    assert falls_at(judged(*below), "low") == at


def test_falls_only_by_both() -> None:
    """By p and by the interval."""

    def unsure(figures: dict) -> None:
        for it in figures["against_dense"]:
            it["difference"]["high"] = 0.1

    assert falls_at(swept(), "high") is not None
    assert falls_at(changed(swept(), unsure), "high") is None
    assert falls_at(swept(subnetworks=("low",)), "high") is None
