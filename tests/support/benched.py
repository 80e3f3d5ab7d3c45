"""`lxcompress bench` in this process, loading included: a new process for each takes seconds."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench.findings import findings
from benchmarks.bench.schema import Report
from benchmarks.measure import loading
from lxcompress.cli.main import main

QUICK = ("--batch-size", 1, "--batch-size", 3, "--runs", 3, "--seconds", 0, "--loads", 2)
HOSTILE = "<script>alert(1)</script>\"'><img src=http://x.y/ onerror=a()>|[a](http://x.y)`*_&\n# b"

Change = Callable[[dict[str, Any]], None]


@functools.cache
def benched_copy(exported: Path) -> Path:
    """A copy of an exported run with its report; tests only read it."""
    folder = Path(shutil.copytree(exported, exported.parent / "benched"))
    with pytest.MonkeyPatch.context() as patch:
        assert run_bench(patch, folder, *QUICK) == 0
    return folder


def run_bench(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `lxcompress bench ARGUMENTS`."""
    patch.setattr(loading, "load_in_child", loading.load)
    patch.setattr(sys, "argv", ["lxcompress", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def error_of(patch: pytest.MonkeyPatch, capsys: Any, *arguments: object) -> str:
    """The only line of an error of `lxcompress bench ARGUMENTS`, without its beginning."""
    capsys.readouterr()
    assert run_bench(patch, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0].removeprefix("error: ")


def changed(figures: dict[str, Any], *changes: Change) -> Report:
    """The report of changed figures, with the findings that follow from them."""
    copy = json.loads(json.dumps(figures))
    for change in changes:
        change(copy)
    report = Report.model_validate(copy)
    return report.model_copy(update={"findings": findings(report)})
