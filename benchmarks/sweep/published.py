"""What others reported of LXMERT's subnetworks on VQA v2: published.json, for comparison."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from benchmarks.sweep.schema import Subnetwork

_FILE = Path(__file__).with_name("published.json")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Record):
    """A figure in percent; `std` over seeds is None where none was printed."""

    mean: float
    std: float | None = None


def _spread(value: Any) -> Any:
    """A number, or [mean, std]."""
    mean, std = value if isinstance(value, list) else (value, None)
    return {"mean": mean, "std": std}


Figures = dict[str, Annotated[Spread, BeforeValidator(_spread)]]  # by answer type


class Row(_Record):
    """A row of the paper's Table 1; a type that it does not print is left out."""

    method: str
    test_dev: Figures = Field(alias="test-dev")
    test_std: Figures = Field(alias="test-std")


class Paper(_Record):
    """The paper's Table 1; subnetworks are of `sparsity` (0–1), the mean of `seeds` runs."""

    title: str
    arxiv: str
    sparsity: float
    seeds: int
    table1: list[Row]

    def row(self, subnetwork: str) -> Row:
        """Of "low", "high" or "random"."""
        wanted = "(random)" if subnetwork == "random" else f"({subnetwork}-magnitude)"
        return next(row for row in self.table1 if row.method.endswith(wanted))


class MinivalRun(_Record):
    """A run in the authors' released logs: percent right after and before retraining."""

    subnetwork: Subnetwork
    sparsity: float
    seed: int
    accuracy_reset: float
    accuracy_retrained: float


class Minival(_Record):
    """The authors' logs; `Published.note` tells how their figures differ from the paper's."""

    dense: float
    runs: list[MinivalRun]


class Published(_Record):
    """The content of published.json."""

    note: str
    paper: Paper
    authors_minival: Minival


@functools.cache
def published() -> Published:
    """The facts, read once."""
    return Published.model_validate_json(_FILE.read_text(encoding="utf-8"))
