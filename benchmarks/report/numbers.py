"""Figures as text, the same everywhere in a report."""

from __future__ import annotations

from benchmarks.report.record import Interval

_MINUS = "−"


def megabytes(size: float) -> str:
    """Of 10^6 bytes, three digits or more."""
    return f"{three_digits(size / 1e6)} MB"


def milliseconds(seconds: float) -> str:
    """Three digits or more."""
    return f"{three_digits(1e3 * seconds)} ms"


def duration(seconds: float) -> str:
    """In seconds from one on, else in milliseconds."""
    return f"{three_digits(seconds)} s" if seconds >= 1 else milliseconds(seconds)


def three_digits(value: float) -> str:
    """Or all of those before the point."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """With its sign, which is none where it rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else _MINUS
    return sign + text


def ratio_of(ratio: Interval) -> str:
    """A ratio with its interval."""
    return f"{ratio.estimate:.2f}, {ratio.low:.2f}–{ratio.high:.2f}"


def pair(of: str, against: str) -> tuple[str, str, str]:
    """Two systems' names without the runtime that they share, and that runtime."""
    words, others = of.split(" "), against.split(" ")
    shared = 0
    # Model and precision, the last two words, tell the two apart.
    while shared < len(words) - 2 and words[shared] == others[shared]:
        shared += 1
    return " ".join(words[shared:]), " ".join(others[shared:]), " ".join(words[:shared])


def points(difference: Interval) -> str:
    """A difference in percentage points, with its interval."""
    ends = f"{signed(difference.low)} to {signed(difference.high)}"
    return f"{signed(difference.estimate)} points ({ends})"


def p_value(p: float) -> str:
    """With the sign that stands before it."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def includes(interval: Interval, value: float) -> bool:
    """Whether the value is one that the figures allow."""
    return interval.low <= value <= interval.high
