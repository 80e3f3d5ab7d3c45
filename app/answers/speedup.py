"""How much faster the ticket is, over the questions that were asked so far."""

from __future__ import annotations

import math
import statistics
import threading
from collections import deque
from dataclasses import dataclass

_LEVEL = 0.05  # of the sign test
_MAX_QUESTIONS = 1000  # the latest ones
FEWEST_QUESTIONS = 6  # with fewer, not even all of them are significant


@dataclass(frozen=True)
class Speedup:
    """Of the ticket over the dense model.

    questions: how many were timed with both models.
    median: over these questions, the dense model's time / the ticket's.
    significant: whether the ticket was faster for more questions than chance explains.
    """

    questions: int
    median: float
    significant: bool


class Speedups:
    """The speedups of single questions. Safe for use by several threads."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(maxlen=_MAX_QUESTIONS)
        self._lock = threading.Lock()

    def add(self, *, dense_milliseconds: float, ticket_milliseconds: float) -> None:
        """Add the times of one question."""
        with self._lock:
            self._ratios.append(dense_milliseconds / ticket_milliseconds)

    def summarize(self) -> Speedup:
        """Return the median so far, with the result of a two-sided sign test."""
        with self._lock:
            ratios = list(self._ratios)
        count, faster = len(ratios), sum(ratio > 1 for ratio in ratios)
        tail = sum(math.comb(count, number) for number in range(faster, count + 1)) / 2**count
        median = statistics.median(ratios) if ratios else 1.0
        return Speedup(count, median, median > 1 and 2 * tail < _LEVEL)
