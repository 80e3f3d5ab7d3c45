"""The content of a report, whatever it is written as: sections of sentences, tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.numbers import megabytes


@dataclass(frozen=True)
class Section:
    """Plain text; `plots` are names, which the HTML page or the Markdown file gives pictures."""

    title: str
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    plots: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Plain text in every cell. The first column names the row; `texts` are columns of text.

    All other columns hold numbers and are aligned to the right.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Sequence[str] = ()


def machine_table(about: Sequence[tuple[str, str]], environment: Mapping[str, Any]) -> Table:
    """The rows of `about`, then the machine and the versions of an `environment`.

    `environment` is that of `lxcompress.system.machine.environment.describe`.
    """
    memory = environment["memory_bytes"]
    versions = environment["versions"].items()
    rows = [
        *about,
        ("device", str(environment.get("gpu", environment["device"]))),
        ("processor", f"{environment['processor']}, {environment['cores']} cores"),
        ("threads", str(environment["torch_threads"])),
        ("memory", megabytes(memory) if memory else "unknown"),
        ("system", str(environment["system"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions)),
    ]
    return Table("Machine and versions", ["property", "value"], rows, ["value"])
