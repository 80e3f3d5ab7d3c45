"""Folders that `lxcompress export` writes besides its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lxcompress.errors import ConfigError


def check_place(option: str, folder: Path, taken: Iterable[Path]) -> None:
    """ConfigError unless `folder` could be written, outside and not around any that are `taken`.

    `option` is how the user named it; the folder need not be there yet.
    """
    above = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise ConfigError(f"{option} {folder}: {above} is no folder that can be written to")
    place = folder.resolve()
    for path in taken:
        if place.is_relative_to(path.resolve()) or path.resolve().is_relative_to(place):
            raise ConfigError(
                f"{option} {folder} and {path} lie in each other; choose another {option}"
            )
