"""Published accuracies of LXMERT's subnetworks on VQA v2 (published.json), for comparison."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lxcompress.choices import Subnetwork
from lxcompress.system.record import Record

_FILE = Path(__file__).with_name("published.json")


class Spread(Record):
    """A mean in percent; `std` over seeds is None where the paper gives none."""

    mean: float
    std: float | None = None


def _spread(value: Any) -> Any:
    """Parse a number, or [mean, std]."""
    mean, std = value if isinstance(value, list) else (value, None)
    return {"mean": mean, "std": std}


Spreads = dict[str, Annotated[Spread, BeforeValidator(_spread)]]  # by answer type


class Row(Record):
    """A row of the paper's Table 1; answer types that it does not give are absent."""

    method: str
    test_dev: Spreads = Field(alias="test-dev")
    test_std: Spreads = Field(alias="test-std")


class Paper(Record):
    """The paper's Table 1: subnetworks of `sparsity` (0–1), means over `seeds` runs."""

    title: str
    arxiv: str
    sparsity: float
    seeds: int
    table1: list[Row]

    def row(self, subnetwork: str) -> Row:
        """Return the row of a subnetwork."""
        suffix = "(random)" if subnetwork == Subnetwork.RANDOM else f"({subnetwork}-magnitude)"
        return next(row for row in self.table1 if row.method.endswith(suffix))


class MinivalRun(Record):
    """A run in the authors' released logs: accuracies in percent before and after retraining."""

    subnetwork: Subnetwork
    sparsity: float
    seed: int
    accuracy_reset: float
    accuracy_retrained: float


class Minival(Record):
    """The authors' logs; `Published.note` explains how they differ from the paper's table."""

    dense: float
    runs: list[MinivalRun]


class Published(Record):
    """The content of published.json."""

    note: str
    paper: Paper
    authors_minival: Minival


@functools.cache
def published() -> Published:
    """Return the published accuracies."""
    return Published.model_validate_json(_FILE.read_text(encoding="utf-8"))
