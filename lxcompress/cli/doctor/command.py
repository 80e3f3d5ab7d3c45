"""`lxcompress doctor`: check this machine and the installation."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Check versions, devices, what ONNX Runtime can really use, memory and disk.

    Exit code 2 when something that lxcompress needs is missing.
    """
    import json

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from lxcompress.cli.doctor.checks import examine

    report = examine()
    if json_output:
        print(json.dumps(report, indent=2))
    else:
        table = Table("", "", show_header=False)
        for name, value in report["found"].items():
            table.add_row(name, escape(str(value)))
        Console().print(table)
        for note in report["notes"]:
            print(f"note: {note}")
        for problem in report["problems"]:
            print(f"problem: {problem}")
        if not report["problems"]:
            print("no problems. next: lxcompress prune")
    if report["problems"]:
        raise typer.Exit(2)
