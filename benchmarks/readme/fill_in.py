"""Write the measured figures of benchmarks/results into README.md and docs/*.md.

    python -m benchmarks.readme.fill_in

The text between `<!-- measured: NAME -->` and `<!-- end -->` is replaced by the block of that name
in `benchmarks.readme.blocks`, so that no figure is typed by hand. Figure 1 is drawn again too.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.readme.blocks import BLOCKS
from benchmarks.readme.blocks.parts import RESULTS
from benchmarks.sweep import figure1
from benchmarks.sweep import report as sweep_report
from lxcompress.errors import ConfigError
from lxcompress.system.files import atomic_path

ROOT = Path(__file__).parents[2]
_MARKER = re.compile(r"<!-- (?:measured: ?(?P<name>.*?)|end) -->")


def main() -> None:
    with atomic_path(RESULTS / "figure1.png") as temporary:
        temporary.write_bytes(figure1.png(sweep_report.read(RESULTS / "sweep.json")))
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = fill_in(before, path.relative_to(ROOT).as_posix())
        if after != before:
            with atomic_path(path) as temporary:
                temporary.write_text(after, encoding="utf-8")


def documents() -> list[Path]:
    """README.md and the pages in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fill_in(text: str, document: str = "README.md") -> str:
    """Return `text` with every block as the result files say now.

    Raises:
        ConfigError: A marker names no block of `BLOCKS`, or a block has no start or no end;
            the message gives `document` and the line.
    """
    parts, end = [], 0
    name: str | None = None  # of the open block
    for marker in _MARKER.finditer(text):
        where = f"{document}, line {text.count(chr(10), 0, marker.start()) + 1}"
        starts = marker["name"] is not None
        if starts != (name is None):
            missing = f"block {name} has no `<!-- end -->`" if starts else "no block is open"
            raise ConfigError(f"{where}: {missing} before `{marker[0]}`")
        if starts:
            name = marker["name"]
            if name not in BLOCKS:
                raise ConfigError(f"{where}: no block is named {name}; known: {', '.join(BLOCKS)}")
            parts += [text[end : marker.end()], "\n", BLOCKS[name]()]
        else:
            name = None
            parts.append(marker[0])
        end = marker.end()
    if name is not None:
        raise ConfigError(f"{document}: block {name} has no `<!-- end -->`")
    return "".join([*parts, text[end:]])


if __name__ == "__main__":
    main()
