"""A speedup is the median over questions, and significant only where chance does not explain it."""

import pytest

from app.answers.speedup import FEWEST_QUESTIONS, Speedup, Speedups


def summary_of(ratios: list[float]) -> Speedup:
    speedups = Speedups()
    for ratio in ratios:
        speedups.add(dense_milliseconds=10 * ratio, ticket_milliseconds=10)
    return speedups.summarize()


@pytest.mark.parametrize(
    ("ratios", "median", "significant"),
    [
        ([], 1.0, False),
        ([2.0] * (FEWEST_QUESTIONS - 1), 2.0, False),
        ([2.0] * FEWEST_QUESTIONS, 2.0, True),
        ([2.0] * 7 + [0.9], 2.0, False),
        ([2.0] * 8 + [0.9], 2.0, True),
        ([1.1, 0.9] * 50, 1.0, False),
        ([0.5] * 100, 0.5, False),
        ([1.0] * 100, 1.0, False),
        ([1.01] * 2000, 1.01, True),
    ],
)
def test_summary(ratios: list[float], median: float, significant: bool) -> None:
    found = summary_of(ratios)
    assert (found.median, found.significant) == (pytest.approx(median), significant)
    assert found.questions == min(len(ratios), 1000)
