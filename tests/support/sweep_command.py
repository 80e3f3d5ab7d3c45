"""A sweep of four cells of a tiny model: its command, its plan, and what two of them share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import assert_same_file

from benchmarks.sweep.plan import Plan

SUBNETWORKS, SPARSITIES = ("low", "random"), (0.2, 0.3)
CELLS = {"low-20-seed0", "low-30-seed0", "random-20-seed0", "random-30-seed0"}

Arguments = Callable[..., list[str]]


def plan_like(sweep: Path, folder: Path) -> Plan:
    """The plan of a finished sweep, for another folder."""
    shared = json.loads((sweep / "sweep.json").read_text())
    del shared["fingerprint"]
    threads = shared.pop("threads")
    return Plan.make(
        {name: value for name, value in shared.items() if value is not None},
        subnetworks=SUBNETWORKS,
        sparsities=SPARSITIES,
        seeds=(0,),
        threads=threads,
        output=folder,
    )


def report_of(folder: Path) -> dict[str, Any]:
    """report.json without what differs from one invocation to the next."""
    report = json.loads((folder / "report.json").read_text())
    for name in ("command", "finished", "cells_run", "wall_seconds", "environment"):
        del report[name]
    return report


def assert_same(folder: Path, expected: Path) -> None:
    """Two sweeps have equal reports, and tickets that are equal to the bit."""
    assert report_of(folder) == report_of(expected)
    assert (folder / "table1.md").read_text() == (expected / "table1.md").read_text()
    assert {path.name for path in (folder / "cells").iterdir()} == CELLS
    for cell in CELLS:
        for file in ("ticket/model.safetensors", "ticket/mask.safetensors", "logs/ticket.jsonl"):
            found, wanted = (sweep / "cells" / cell / file for sweep in (folder, expected))
            assert_same_file(found, wanted)
