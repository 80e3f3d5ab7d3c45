"""`lxcompress bench` in this process, loading included: a process for each load takes seconds."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench.findings import words
from benchmarks.bench.schema import Report
from benchmarks.measure import loading
from lxcompress.cli.main import main

QUICK = ("--batch-size", 1, "--batch-size", 3, "--runs", 3, "--seconds", 0, "--loads", 2)
HOSTILE = "<script>alert(1)</script>\"'><img src=http://x.y/ onerror=a()>|[a](http://x.y)`*_&\n# b"

Change = Callable[[dict[str, Any]], None]


def in_this_process(
    cases: Sequence[tuple[str, Path]], device: str, repeats: int
) -> dict[tuple[str, str], dict[str, Any]]:
    """`benchmarks.measure.loading.compare`."""
    return {
        (loader, path.name): {
            name: {"samples": [value] * repeats}
            for name, value in loading.load(loader, path, device).items()
        }
        for loader, path in cases
    }


@functools.cache
def benched_copy(exported: Path) -> Path:
    """A copy of an exported run with its report; do not write to it."""
    folder = Path(shutil.copytree(exported, exported.parent / "benched"))
    with pytest.MonkeyPatch.context() as patch:
        assert run_bench(patch, folder, *QUICK) == 0
    return folder


def run_bench(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `lxcompress bench ARGUMENTS`."""
    patch.setattr(loading, "compare", in_this_process)
    patch.setattr(sys, "argv", ["lxcompress", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def changed(figures: dict[str, Any], *changes: Change) -> Report:
    """The report of other figures, in their words."""
    copy = json.loads(json.dumps(figures))
    for change in changes:
        change(copy)
    report = Report.model_validate(copy)
    return report.model_copy(update={"findings": words(report)})
