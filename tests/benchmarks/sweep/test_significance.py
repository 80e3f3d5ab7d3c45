"""The statistics of a sweep agree with SciPy, with enumeration, and with values by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats
from simulated_sweep import changed, simulated_report, simulated_scores

from benchmarks.measure.statistics import paired_bootstrap
from benchmarks.sweep.schema import Report
from benchmarks.sweep.significance import SEED, CellKey, below_from, compare, holm, p_worse

CELL: CellKey = ("low", 0.5, 0)


def test_holm_adjustment_by_hand() -> None:
    # Sorted: .005 × 4, .01 × 3, .03 × 2, .04 × 1; the last is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize(
    "differences",
    [[-3, 1, -2, -5, 4, -1, 0, -2], [-1] * 6, [30, -60, -60, 10, 100 / 3, -100 / 3, -20]],
)
def test_p_agrees_with_enumerating_all_signs(differences: list[float]) -> None:
    """All 2^n of them."""
    total = sum(differences)
    sums = [
        sum(sign * abs(value) for sign, value in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    exact = np.mean([value <= total + 1e-9 for value in sums])
    assert p_worse(differences, seed=0, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_p_agrees_with_scipy() -> None:
    """SciPy's one-sample permutation test draws each sign independently."""
    differences = simulated_scores(0.6, 1)[:200] - simulated_scores(0.63, 2)[:200]
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


def test_three_differing_questions_are_not_significant() -> None:
    differences = np.zeros(4000)
    assert p_worse(differences, seed=0) == 1
    differences[:3] = -100
    assert stats.ttest_1samp(differences, 0, alternative="less").pvalue < 0.05
    assert p_worse(differences, seed=0) == pytest.approx(1 / 8, abs=0.02)


def test_p_has_the_nominal_false_positive_rate() -> None:
    """One in twenty pairs of equally good networks is called different."""
    random = np.random.default_rng(0)
    called = [
        p_worse(random.choice([-100, -40, 0, 0, 40, 100], 60), seed=seed, resamples=500) < 0.05
        for seed in range(400)
    ]
    assert 0.02 < np.mean(called) < 0.08


def test_compare_by_hand() -> None:
    dense = {0: simulated_scores(0.9, 0), 1: simulated_scores(0.9, 1)}
    tickets = {
        ("random", 0.5, 0): simulated_scores(0.7, 2),
        ("low", 0.5, 1): simulated_scores(0.89, 3),
        ("low", 0.5, 0): simulated_scores(0.89, 4),
        ("low", 0.1, 1): dense[1],
    }
    of_cells = {key: dense[key[2]] for key in tickets}
    same, half, random = compare(of_cells, tickets, range(len(dense[0])))
    assert [(it.subnetwork, it.sparsity, it.seeds) for it in (same, half, random)] == [
        *(("low", 0.1, [1]), ("low", 0.5, [0, 1]), ("random", 0.5, [0]))
    ]
    assert (same.p, same.kept) == (1, 1)
    assert (same.difference.estimate, same.difference.low, same.difference.high) == (0, 0, 0)
    first, second = tickets["low", 0.5, 0], tickets["low", 0.5, 1]
    mean, base = (first + second) / 2, (dense[0] + dense[1]) / 2
    assert half.difference.estimate == pytest.approx(mean.mean() - base.mean())
    assert half.kept == pytest.approx(mean.mean() / base.mean())
    interval = paired_bootstrap(mean, base, range(len(base)), seed=SEED)
    found = (half.difference.low, half.difference.high)
    assert found == pytest.approx((interval.low, interval.high), abs=0.15)
    assert half.p == pytest.approx(min(1, 2 * p_worse(mean - base, seed=SEED)))
    assert random.p == pytest.approx(p_worse(tickets["random", 0.5, 0] - dense[0], seed=SEED))


def test_questions_about_a_picture_are_resampled_together() -> None:
    """Eight times the same question about a picture tells no more than it does once."""
    dense, ticket = simulated_scores(0.9, 0), simulated_scores(0.85, 1)
    once = compare({CELL: dense}, {CELL: ticket}, range(len(dense)))
    eight = compare(
        {CELL: np.repeat(dense, 8)},
        {CELL: np.repeat(ticket, 8)},
        np.repeat(np.arange(len(dense)), 8).tolist(),
    )
    assert eight == once


def test_no_share_is_retained_of_zero_dense_accuracy() -> None:
    (found,) = compare({CELL: [0.0, 0.0]}, {CELL: [0.0, 100.0]}, ["a", "b"])
    assert found.kept is None
    assert found.difference.estimate == 50


@pytest.mark.parametrize(
    ("dense", "ticket", "message"),
    [
        ({("low", 0.5, 1): [1.0]}, [1.0], "no dense model"),
        ({CELL: [1.0, 2.0]}, [1.0], "cannot be paired"),
    ],
)
def test_unpaired_scores_are_rejected(
    dense: dict[CellKey, list[float]], ticket: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(dense, {CELL: ticket}, range(len(ticket)))


def report_with_verdicts(*below: bool) -> Report:
    """A report whose low subnetworks at 10, 30, 50, 70, 90% are below dense or not."""

    def change(figures: dict) -> None:
        low = [it for it in figures["against_dense"] if it["subnetwork"] == "low"]
        for comparison, worse in zip(low, below, strict=True):
            high = -0.5 if worse else 0.5
            comparison |= {
                "p": 0.01 if worse else 0.3,
                "difference": {"estimate": -1, "low": -2, "high": high},
            }
        figures["against_dense"].reverse()  # their order in the file does not matter

    return changed(simulated_report(), change)


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
def test_below_from_is_the_start_of_the_significant_sparsities(
    below: tuple[bool, ...], at: float | None
) -> None:
    assert below_from(report_with_verdicts(*below), "low") == at


def test_significance_needs_both_p_and_the_interval() -> None:
    def include_zero(figures: dict) -> None:
        for comparison in figures["against_dense"]:
            comparison["difference"]["high"] = 0.1

    assert below_from(simulated_report(), "high") is not None
    assert below_from(changed(simulated_report(), include_zero), "high") is None
    assert below_from(simulated_report(subnetworks=("low",)), "high") is None
