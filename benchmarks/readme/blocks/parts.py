"""What several blocks consist of, and where the measured figures lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.sweep import report as sweep_report
from benchmarks.sweep.schema import Report
from lxcompress.system.files import read_json

RESULTS = Path(__file__).parents[2] / "results"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], align: str = "---:") -> str:
    """A Markdown table whose cells are Markdown themselves."""
    lines = [columns, ["---", *[align] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def measured_by(command: str, environment: dict[str, Any]) -> str:
    versions, threads = environment["versions"], environment["torch_threads"]
    return (
        f"Measured by `{command}` on {environment['processor']}, {environment['cores']} cores, "
        f"{threads} torch thread{'' if threads == 1 else 's'}, torch {versions['torch']}, "
        f"transformers {versions['transformers']}.\n"
    )


def read_sweep(name: str) -> Report:
    return sweep_report.read(RESULTS / f"{name}.json")


def read_result(name: str) -> dict[str, Any]:
    return read_json(RESULTS / f"{name}.json", "benchmark result")
