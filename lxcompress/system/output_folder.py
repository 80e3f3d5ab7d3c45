"""Whether a folder can be written to, found out before the work whose result it is to hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lxcompress.errors import ConfigError


def why_not_writable(folder: Path) -> str | None:
    """Return why nothing can be written to `folder`, which need not exist yet; None if it can.

    A file is really written: permissions alone say little about root, or a read-only disk.
    """
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not existing.is_dir():
        return f"{existing} is a file"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"\0")
    except OSError as problem:
        return f"{existing}: {problem.strerror}"
    return None


def check_writable(option: str, folder: Path) -> None:
    """Raise ConfigError unless `folder`, which `option` names, can be written to."""
    reason = why_not_writable(folder)
    if reason is not None:
        raise ConfigError(
            f"{option} {folder} cannot be written to ({reason}); choose another folder"
        )
