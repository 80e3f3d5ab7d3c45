"""The options and the report that the speed benchmarks share."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lxcompress.system.files import write_json
from lxcompress.system.machine.environment import describe


def options(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all speed benchmarks have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=(description or "").partition("\n")[0]
    )
    parser.add_argument("--output", type=Path, help="also write the report to this JSON file")
    parser.add_argument("--small", action="store_true", help="use a tiny model, to try it out")
    return parser


def status(text: str) -> None:
    """Print on standard error what is being measured; some of it takes minutes."""
    print(text, file=sys.stderr, flush=True)


def seconds(samples: Sequence[float]) -> dict[str, Any]:
    """Return a record of the samples, in seconds, and their median."""
    return {"unit": "seconds", "median": statistics.median(samples), "samples": list(samples)}


def publish(
    module: str, given: argparse.Namespace, rows: list[dict[str, str]], **measurements: Any
) -> None:
    """Print `rows` as a table, and write them with the raw measurements to `--output`.

    Args:
        module: The benchmark, as `python -m` names it.
        given: Its parsed options.
        rows: Lines of the report, each with "what" and "text".
        measurements: Raw measurements by name, ready for JSON.
    """
    table = Table("what", "measured", title=module)
    for row in rows:
        table.add_row(row["what"], row["text"])
    Console().print(table)
    if given.output is None:
        return
    small = " --small" if given.small else ""
    device = getattr(given, "device", "cpu")
    on = f" --device {device}" if device != "cpu" else ""
    report = {
        "command": f"python -m {module}{on}{small}",
        "unit": "seconds and bytes, as each record says",
        "rows": rows,
        "measurements": measurements,
        "environment": describe(device),
    }
    write_json(given.output, report)
