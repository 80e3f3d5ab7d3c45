"""The content of a frontier.json. Accuracies are percent, latencies relative to dense fp32."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from benchmarks.bench.schema import Precision
from benchmarks.report.records import Interval
from lxcompress.result import DatasetRecord
from lxcompress.system.record import Record

SCHEMA: Final = "lxcompress-frontier/1"
DENSE: Final = "dense"


class Latency(Record):
    batch_size: int = Field(description="questions in a batch")
    p50: float = Field(description="median seconds from input arrays to logits")
    relative: Interval = Field(
        description="median over rounds of its seconds / those of the run's dense fp32 file"
    )


class Point(Record):
    """One file of one run."""

    run: str = Field(description="name of the run directory")
    pattern: str = Field(description="dense, unstructured, structured or N:M")
    sparsity: float = Field(description="of the prunable weights; 0 for dense")
    precision: Precision
    bytes: int = Field(description="size of the file")
    accuracy: Interval = Field(description="overall, on the validation questions")
    latencies: list[Latency] = Field(description="one for each batch size")

    @property
    def name(self) -> str:
        """Such as "structured 50% int8"."""
        what = self.pattern if self.pattern == DENSE else f"{self.pattern} {self.sparsity:.0%}"
        return f"{what} {self.precision}"

    def relative(self, batch_size: int) -> float:
        """Return the latency relative to dense fp32."""
        return next(
            found.relative.estimate for found in self.latencies if found.batch_size == batch_size
        )


class Frontier(Record):
    schema_: Literal["lxcompress-frontier/1"] = Field(alias="schema", description="of this file")
    command: str = Field(description="the command that created it")
    finished: str = Field(description="UTC, ISO 8601")
    dataset: DatasetRecord = Field(description="the same for all runs")
    questions: int = Field(description="validation questions")
    points: list[Point] = Field(description="the files of all runs")
    environment: dict[str, Any] = Field(description="versions and machine, the same for all runs")

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes that were measured of all files, ascending."""
        measured = ({found.batch_size for found in point.latencies} for point in self.points)
        return sorted(set.intersection(*measured))

    def frontier(self, batch_size: int) -> list[Point]:
        """Return the files than which none is both as fast and more accurate, fastest first."""
        best: list[Point] = []
        for point in sorted(
            self.points, key=lambda it: (it.relative(batch_size), -it.accuracy.estimate)
        ):
            if not best or point.accuracy.estimate > best[-1].accuracy.estimate:
                best.append(point)
        return best
