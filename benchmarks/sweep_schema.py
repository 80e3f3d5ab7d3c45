"""What a sweep's report.json holds. Accuracies are percent on the validation split."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "lxcompress-sweep/1"

Accuracy = dict[str, float | None]  # "overall", "yes/no", "number", "other"; null: no such questions


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
    subnetwork: Literal["low", "high", "random"]
    sparsity: float
    reset: Accuracy
    pruned: Accuracy
    retrained: Accuracy
    zeros: Zeros


class Interval(_Record):
    """An estimate with its 95% interval."""

    estimate: float
    low: float
    high: float


class Comparison(_Record):
    """A retrained subnetwork against the dense model, on the same questions and seeds.

    `difference` in percentage points (negative: the subnetwork is worse), its interval a paired
    bootstrap over questions of the mean over seeds; `p` one-sided, for "worse than dense",
    adjusted by Holm's method for the sparsities of its subnetwork; `kept` is the share (0–1) of
    dense accuracy.
    """

    subnetwork: Literal["low", "high", "random"]
    sparsity: float
    seeds: list[int]
    difference: Interval
    p: float
    kept: float


class Failure(_Record):
    """A cell, by name, that could not be finished, and why."""

    cell: str
    message: str


class Report(_Record):
    """report.json. `beside` is the report of another sweep of the same data, for comparison.

    `wall_seconds` is what the last call of the command took, in which `cells_run` cells were run
    (those finished before were not).
    """

    name: Literal["lxcompress-sweep/1"] = Field(SCHEMA, alias="schema")
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
