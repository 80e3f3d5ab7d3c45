"""Number formats, the same everywhere in a report."""

from __future__ import annotations

from benchmarks.report.records import Interval

_MINUS = "−"


def megabytes(size: float) -> str:
    """`size` in bytes as MB (10^6 bytes) with at least three digits."""
    return f"{three_digits(size / 1e6)} MB"


def milliseconds(seconds: float) -> str:
    """`seconds` as ms with at least three digits."""
    return f"{three_digits(1e3 * seconds)} ms"


def duration(seconds: float) -> str:
    """`seconds` as s, or as ms below one second."""
    return f"{three_digits(seconds)} s" if seconds >= 1 else milliseconds(seconds)


def three_digits(value: float) -> str:
    """Three significant digits, or all digits before the decimal point where there are more."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def large(count: float) -> str:
    """A count in millions, or in billions (10^9), with at least three digits."""
    value, unit = (count / 1e9, "billion") if count >= 1e9 else (count / 1e6, "million")
    return f"{three_digits(value)} {unit}"


def signed(value: float, digits: int = 2) -> str:
    """With its sign; without one where the value rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else _MINUS
    return sign + text


def with_interval(value: Interval) -> str:
    """A value without a sign, e.g. an accuracy or a ratio: `95.33 (94.65–95.97)`."""
    return f"{value.estimate:.2f} ({value.low:.2f}–{value.high:.2f})"


def points(difference: Interval, unit: str = " points") -> str:
    """A difference in percentage points: `+0.23 points (−0.20 to +0.65)`."""
    ends = f"{signed(difference.low)} to {signed(difference.high)}"
    return f"{signed(difference.estimate)}{unit} ({ends})"


def p_value(p: float) -> str:
    """With its relation: `= 0.035`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
