"""A sweep of four cells, and what must be the same in two of them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import assert_same_file

SUBNETWORKS, SPARSITIES = ("low", "random"), (0.2, 0.3)
CELLS = {"low-20-seed0", "low-30-seed0", "random-20-seed0", "random-30-seed0"}

Arguments = Callable[..., list[str]]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lxcompress", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report_of(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text())
    for name in ("command", "finished", "cells_run", "wall_seconds", "environment"):
        del report[name]
    return report


def assert_same(folder: Path, expected: Path) -> None:
    assert report_of(folder) == report_of(expected)
    assert (folder / "table1.md").read_text() == (expected / "table1.md").read_text()
    assert {path.name for path in (folder / "cells").iterdir()} == CELLS
    for cell in CELLS:
        for file in ("ticket/model.safetensors", "ticket/mask.safetensors", "logs/ticket.jsonl"):
            found, wanted = (sweep / "cells" / cell / file for sweep in (folder, expected))
            assert_same_file(found, wanted)
