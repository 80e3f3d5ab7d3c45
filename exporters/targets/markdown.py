"""Markdown files that are filled in with a run's figures and names."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from lxcompress.system.text import one_line


def fill_template(path: Path, /, **values: object) -> str:
    """The text of a template file with each `$name` in it replaced; KeyError if one is missing."""
    return Template(path.read_text(encoding="utf-8")).substitute(values)


def escape_markdown(value: object) -> str:
    """Markdown that renders as this text in one line, in a table too: no markup, HTML or link."""
    text = one_line(value) or "unnamed"
    return re.sub(r"[^\w .,/+()%='?-]|_", lambda match: f"&#{ord(match[0])};", text)
