"""Check the folders that `lxcompress export` writes besides its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lxcompress.errors import ConfigError


def check_output_folder(option: str, folder: Path, used: Iterable[Path]) -> None:
    """Check that `folder`, which need not exist yet, can be written and overlaps no `used` folder.

    `option` is the command-line option that names it.

    Raises:
        ConfigError: it cannot be written, lies inside a used folder, or contains one.
    """
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ConfigError(f"{option} {folder}: {existing} is not a folder that can be written to")
    resolved = folder.resolve()
    for path in used:
        if resolved.is_relative_to(path.resolve()) or path.resolve().is_relative_to(resolved):
            raise ConfigError(f"{option} {folder} overlaps with {path}; choose another {option}")
