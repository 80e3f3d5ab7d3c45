"""What a sweep's report.json holds. Accuracies are percent on the validation split."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.report.record import Interval

SCHEMA = "lxcompress-sweep/1"

Subnetwork = Literal["low", "high", "random"]
# By "overall", "yes/no", "number", "other"; null where the data have no such questions.
Accuracy = dict[str, float | None]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dense(_Record):
    """The dense model of one seed: fine-tuned from its θ0 without a mask."""

    seed: int
    accuracy: Accuracy


class Zeros(_Record):
    """Fractions (0–1): `asked` of prunable weights by the mask; what was zero after retraining."""

    asked: float
    prunable: float
    model: float


class Cell(_Record):
    """One subnetwork of one seed: `reset` is θ0 under the mask, `pruned` the dense model under it,
    `retrained` the ticket."""

    seed: int
    subnetwork: Subnetwork
    sparsity: float
    reset: Accuracy
    pruned: Accuracy
    retrained: Accuracy
    zeros: Zeros


class Comparison(_Record):
    """A retrained subnetwork against the dense model, on the same questions and seeds.

    `difference` in percentage points (negative: the subnetwork is worse), its interval a paired
    bootstrap over questions of the mean over seeds; `p` one-sided, for "worse than dense",
    adjusted by Holm's method for the sparsities of its subnetwork; `kept` is the share (1: all) of
    dense accuracy, null where that is 0.
    """

    subnetwork: Subnetwork
    sparsity: float
    seeds: list[int]
    difference: Interval
    p: float
    kept: float | None


class Failure(_Record):
    """A cell, by name, that could not be finished, and why."""

    cell: str
    message: str


class Report(_Record):
    """report.json. `beside` is the report of another sweep of the same data, for comparison.

    `wall_seconds` is what the last call of the command took, in which `cells_run` cells were run
    (those finished before were not). `settings` are the options by name, with `subnetworks`,
    `sparsities` and `seeds` as lists; `environment` is that of
    `lxcompress.system.environment.describe`.
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
        """All that were asked for, in the paper's order."""
        found = {*self._asked("subnetworks"), *(cell.subnetwork for cell in self.cells)}
        return [name for name in get_args(Subnetwork) if name in found]

    @property
    def sparsities(self) -> list[float]:
        """All that were asked for, ascending."""
        return sorted({*self._asked("sparsities"), *(cell.sparsity for cell in self.cells)})

    @property
    def seeds(self) -> list[int]:
        """All that were asked for, ascending."""
        return sorted({*self._asked("seeds"), *(dense.seed for dense in self.dense)})

    def _asked(self, option: str) -> list[Any]:
        return list(self.settings.get(option, []))

    def select(self, subnetwork: str, sparsity: float) -> list[Cell]:
        """The finished cells of all seeds."""
        return [
            cell
            for cell in self.cells
            if cell.subnetwork == subnetwork and cell.sparsity == sparsity
        ]
