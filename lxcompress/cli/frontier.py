"""`lxcompress frontier`: accuracy over latency of several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lxcompress.system.shell import lxcompress_command

if TYPE_CHECKING:
    from benchmarks.frontier.schema import Frontier


def frontier(
    runs: Annotated[
        list[Path], typer.Argument(help="Run directories, each after `lxcompress bench RUN`.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report. [default: runs/frontier]")
    ] = None,
) -> None:
    """Show accuracy over latency of the files of several runs, and which files none surpasses.

    Patterns, sparsities and precisions are points of one figure. The runs must be of the same
    data, and measured on the same machine with the same versions.

    Example: lxcompress frontier runs/shapes-low-50 runs/shapes-low-50-structured
    """
    from benchmarks.frontier import report
    from benchmarks.frontier.collect import collect
    from lxcompress.system.output_folder import check_writable

    folder = output or Path("runs/frontier")
    check_writable("--output", folder)
    found = collect(runs, lxcompress_command(*sys.argv[1:]))
    folder.mkdir(parents=True, exist_ok=True)
    report.write(found, folder)
    show(found, folder)


def show(found: Frontier, folder: Path) -> None:
    """Print the findings, and where the files are."""
    from benchmarks.frontier.report import findings

    for sentence in findings(found):
        print(sentence)
    for name in ("html", "md", "json", "png"):
        print(f"frontier.{name}: {folder / f'frontier.{name}'}")
