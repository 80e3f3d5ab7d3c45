"""Number formats."""

from benchmarks.report.numbers import (
    duration,
    large,
    megabytes,
    milliseconds,
    p_value,
    points,
    signed,
    three_digits,
    with_interval,
)
from benchmarks.report.records import Interval


def test_signs() -> None:
    assert [signed(value) for value in (0.3, -0.3, 0.001, -0.001)] == [
        *("+0.30", "−0.30", "0.00", "0.00")
    ]


def test_times() -> None:
    assert [milliseconds(value) for value in (0.00123, 0.0123, 0.123, 12.3)] == [
        *("1.23 ms", "12.3 ms", "123 ms", "12,300 ms")
    ]
    assert [duration(value) for value in (0.419, 1.2345, 12.34)] == ["419 ms", "1.23 s", "12.3 s"]


def test_sizes() -> None:
    sizes = (1_234_567, 64_310_000, 829_000_000, 25_277_000_000)
    assert [megabytes(size) for size in sizes] == ["1.23 MB", "64.3 MB", "829 MB", "25,277 MB"]
    assert [three_digits(value) for value in (0.5, 99.96, 1234)] == ["0.50", "100.0", "1,234"]


def test_p_values() -> None:
    assert [p_value(p) for p in (0.0001, 0.012, 0.5)] == ["< 0.001", "= 0.012", "= 0.50"]


def test_intervals() -> None:
    assert with_interval(Interval(estimate=95.328, low=94.65, high=95.97)) == "95.33 (94.65–95.97)"
    difference = Interval(estimate=0.226, low=-0.2, high=0.65)
    assert points(difference) == "+0.23 points (−0.20 to +0.65)"
    assert points(difference, unit="") == "+0.23 (−0.20 to +0.65)"


def test_large_counts() -> None:
    counts = (31_250, 31_250_000, 12_345_000_000)
    assert [large(count) for count in counts] == ["0.03 million", "31.2 million", "12.3 billion"]
