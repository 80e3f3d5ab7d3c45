"""A sweep of four cells, and what must be the same in two of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

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


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)


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


def assert_same_file(found: Path, wanted: Path) -> None:
    if found.suffix == ".safetensors":  # whose metadata come in any order
        tensors, others = load_file(found), load_file(wanted)
        assert tensors.keys() == others.keys(), found
        assert all(tensor.equal(others[name]) for name, tensor in tensors.items()), found
    else:
        assert found.read_bytes() == wanted.read_bytes(), found
