from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.numbers import (
    megabytes,
)


@dataclass(frozen=True)
class Section:
    """`plots` names pictures; Markdown shows those that are files beside it."""

    title: str
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    plots: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Cells are plain text; the first column names the row, others are figures but for `texts`."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Sequence[str] = ()


def machine_table(about: Sequence[tuple[str, str]], found: Mapping[str, Any]) -> Table:
    """What was measured, and with what: `found` is from lxcompress.system.environment."""
    rows = [
        *about,
        ("device", str(found.get("gpu", found["device"]))),
        ("processor", f"{found['processor']}, {found['cores']} cores"),
        ("threads", str(found["torch_threads"])),
        ("memory", megabytes(found["memory_bytes"]) if found["memory_bytes"] else "unknown"),
        ("system", str(found["system"])),
        ("versions", ", ".join(f"{name} {value}" for name, value in found["versions"].items())),
    ]
    return Table("Machine and versions", ["what", "value"], rows, ["value"])
