"""The content of a sweep's report.json. Accuracies are in percent on the validation split."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from benchmarks.report.records import Interval
from lxcompress.choices import Subnetwork
from lxcompress.result import Accuracy
from lxcompress.system.record import Record

SCHEMA = "lxcompress-sweep/1"


class Dense(Record):
    """The dense model of one seed: fine-tuned from its θ0 without a mask."""

    seed: int
    accuracy: Accuracy


class Zeros(Record):
    """Sparsities as fractions (0–1): the `target` (in the JSON "asked"), and after retraining.

    `target` and `prunable` are of the prunable weights, `model` is of all parameters.
    """

    target: float = Field(alias="asked")
    prunable: float
    model: float


class Cell(Record):
    """One subnetwork of one seed.

    `reset` is the accuracy of θ0 under the mask, `pruned` that of the dense model under the mask,
    `retrained` that of the ticket.
    """

    seed: int
    subnetwork: Subnetwork
    sparsity: float
    reset: Accuracy
    pruned: Accuracy
    retrained: Accuracy
    zeros: Zeros


class Comparison(Record):
    """A retrained subnetwork compared with the dense model, on the same questions and seeds.

    `difference` is in percentage points (negative: the subnetwork is worse), averaged over seeds,
    with a paired bootstrap interval over pictures. `p` is one-sided, for "worse than dense", and
    adjusted by Holm's method for the sparsities of the subnetwork. `kept` is the retained fraction
    of the dense accuracy (1: all of it), null where that is 0.
    """

    subnetwork: Subnetwork
    sparsity: float
    seeds: list[int]
    difference: Interval
    p: float
    kept: float | None


class Failure(Record):
    """The name of a run that failed, and the error message."""

    cell: str
    message: str


class Report(Record):
    """The content of report.json. `beside` is another sweep on the same data, for comparison.

    `wall_seconds` is the duration of the last invocation that ran any cells, and `cells_run` their
    number; cells that were finished before are not counted. `settings` are the options by name,
    with `subnetworks`, `sparsities` and `seeds` as lists. `environment` is from
    `lxcompress.system.machine.environment.describe`.
    """

    schema_: Literal["lxcompress-sweep/1"] = Field(alias="schema")
    command: str
    finished: str
    unit: str
    metric: str
    dataset: dict[str, Any]
    questions: int
    settings: dict[str, Any]
    dense: list[Dense]
    cells: list[Cell]
    against_dense: list[Comparison]
    failures: list[Failure]
    beside: Report | None
    cells_run: int
    wall_seconds: float
    environment: dict[str, Any]

    @property
    def subnetworks(self) -> list[str]:
        """The swept subnetworks in the paper's order."""
        swept = {*self._setting("subnetworks"), *(cell.subnetwork for cell in self.cells)}
        return [name for name in Subnetwork if name in swept]

    @property
    def sparsities(self) -> list[float]:
        """The swept sparsities, ascending."""
        return sorted({*self._setting("sparsities"), *(cell.sparsity for cell in self.cells)})

    @property
    def seeds(self) -> list[int]:
        """The swept seeds, ascending."""
        return sorted({*self._setting("seeds"), *(dense.seed for dense in self.dense)})

    def _setting(self, option: str) -> list[Any]:
        return list(self.settings.get(option, []))

    def select(self, subnetwork: str, sparsity: float) -> list[Cell]:
        """Return the finished cells of all seeds."""
        return [
            cell
            for cell in self.cells
            if cell.subnetwork == subnetwork and cell.sparsity == sparsity
        ]

    def comparisons(self, subnetwork: str) -> list[Comparison]:
        """Return the comparisons of a subnetwork with dense, by ascending sparsity."""
        return sorted(
            (found for found in self.against_dense if found.subnetwork == subnetwork),
            key=lambda comparison: comparison.sparsity,
        )
