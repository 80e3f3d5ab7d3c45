"""Check the folders that `lxcompress export` writes besides its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lxcompress.errors import ConfigError
from lxcompress.system.output_folder import check_writable


def check_output_folder(option: str, folder: Path, used: Iterable[Path]) -> None:
    """Check that `folder`, which need not exist yet, can be written and overlaps no `used` folder.

    `option` is the command-line option that names it.

    Raises:
        ConfigError: it cannot be written, lies inside a used folder, or contains one.
    """
    check_writable(option, folder)
    resolved = folder.resolve()
    for path in used:
        if resolved.is_relative_to(path.resolve()) or path.resolve().is_relative_to(resolved):
            raise ConfigError(f"{option} {folder} overlaps with {path}; choose another {option}")
