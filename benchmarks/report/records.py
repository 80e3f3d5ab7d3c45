"""Records that the report.json of several reports have."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pydantic import Field

from lxcompress.system.record import Record


class Interval(Record):
    """An estimate with its 95% confidence interval, all in one unit."""

    estimate: float = Field(description="the measured value")
    low: float = Field(description="lower end of the 95% confidence interval")
    high: float = Field(description="upper end of it")

    def includes(self, value: float) -> bool:
        """Whether `value` lies within the interval, ends included."""
        return self.low <= value <= self.high


class Samples(Record):
    """Raw samples beside their median."""

    unit: str = Field(description="of the median and of the samples")
    median: float = Field(description="of the samples")
    samples: list[float] = Field(description="in the order in which they were measured")

    @classmethod
    def of(cls, unit: str, samples: Sequence[float]) -> Samples:
        return cls(unit=unit, median=statistics.median(samples), samples=list(samples))
