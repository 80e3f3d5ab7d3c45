"""The content of a sweep's report.json. Accuracies are in percent on the validation split."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from benchmarks.report.records import Interval
from lxcompress.choices import Criterion, Pattern, Subnetwork
from lxcompress.result import Accuracy, Control
from lxcompress.system.record import Record

SCHEMA = "lxcompress-sweep/2"


class Dense(Record):
    """The dense model of one seed: fine-tuned from its θ0 without a mask."""

    seed: int
    accuracy: Accuracy


class Zeros(Record):
    """Sparsities as fractions (0–1): the `target`, and after retraining.

    `target` and `prunable` are of the prunable weights, `model` is of all parameters. Whole heads
    and neurons end slightly above the target.
    """

    target: float
    prunable: float
    model: float


class Cell(Record):
    """One subnetwork of one seed.

    `reset` is the accuracy of θ0 under the mask, `pruned` that of the dense model under the mask,
    `retrained` that of the ticket. `control` is the dense model trained for as long in all as the
    ticket; null where the ticket was not trained longer than the dense model.
    """

    seed: int
    subnetwork: Subnetwork
    sparsity: float
    reset: Accuracy
    pruned: Accuracy
    retrained: Accuracy
    zeros: Zeros
    control: Control | None = None


class Comparison(Record):
    """A retrained subnetwork compared with the dense model or its control.

    Both have answered the same questions and have the same seeds.

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

    schema_: Literal["lxcompress-sweep/2"] = Field(alias="schema")
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
    against_control: list[Comparison] = []
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

    @property
    def pattern(self) -> str:
        """What was pruned together; sweeps from before this setting pruned single weights."""
        return str(self.settings.get("pattern", Pattern.UNSTRUCTURED))

    @property
    def criterion(self) -> str:
        """What weights, heads or neurons were ranked by."""
        return str(self.settings.get("criterion", Criterion.MAGNITUDE))

    @property
    def has_control(self) -> bool:
        """Whether the dense model was also trained for as long as the tickets."""
        return bool(self.against_control)

    def controls(self, sparsity: float) -> list[Accuracy]:
        """Return the accuracies of the controls of a sparsity's cells, one for each seed."""
        by_seed = {
            cell.seed: cell.control.accuracy
            for cell in self.cells
            if cell.sparsity == sparsity and cell.control is not None
        }
        return list(by_seed.values())

    def comparisons(self, subnetwork: str, *, control: bool = False) -> list[Comparison]:
        """Return the comparisons of a subnetwork with dense or its control, by sparsity."""
        against = self.against_control if control else self.against_dense
        return sorted(
            (found for found in against if found.subnetwork == subnetwork),
            key=lambda comparison: comparison.sparsity,
        )
