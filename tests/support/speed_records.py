"""Checks that the reports of all speed benchmarks have in common."""

import json
from pathlib import Path
from typing import Any

import torch


def read_report(path: Path) -> dict[str, Any]:
    """Read a report, and check its environment, unit and lines."""
    report = json.loads(path.read_text())
    assert report["environment"]["versions"]["torch"] == torch.__version__
    assert report["environment"]["processor"]
    assert report["unit"]
    assert all(row.keys() == {"what", "text"} for row in report["rows"])
    return report


def check_seconds(record: dict[str, Any], count: int) -> None:
    """A record has `count` samples in seconds, and a median within their range."""
    assert record["unit"] == "seconds"
    assert len(record["samples"]) == count
    assert min(record["samples"]) <= record["median"] <= max(record["samples"])
