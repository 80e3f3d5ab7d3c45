"""The folder for generated and converted files of this user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lxcompress.errors import ConfigError
from lxcompress.system.output_folder import why_not_writable

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_ADVICE = "set LXCOMPRESS_CACHE to a folder that can be written to"


def cache_folder() -> Path:
    """Return `$LXCOMPRESS_CACHE`, else `$XDG_CACHE_HOME/lxcompress`, else `~/.cache/lxcompress`.

    Raises:
        ConfigError: none of them is set, and this user has no home folder.
    """
    own, shared = (os.environ.get(name) for name in ("LXCOMPRESS_CACHE", "XDG_CACHE_HOME"))
    try:
        if own:
            return Path(own).expanduser()
        # The XDG Base Directory Specification: a path that is not absolute is to be ignored.
        if shared and Path(shared).is_absolute():
            return Path(shared) / "lxcompress"
        return Path("~/.cache/lxcompress").expanduser()
    except RuntimeError:
        raise ConfigError(f"this user has no home folder for the cache; {_ADVICE}") from None


def why_cache_not_writable() -> str | None:
    """Return what is wrong with the cache and what to do, in one line; None if it is writable."""
    try:
        folder = cache_folder()
    except ConfigError as problem:
        return str(problem)
    reason = why_not_writable(folder)
    return None if reason is None else _error_message(folder, reason)


def explain(problem: OSError) -> str | None:
    """Return what to do about an error, if it is one of writing to the cache; None otherwise."""
    if problem.errno not in _NOT_WRITABLE or not isinstance(problem.filename, str):
        return None
    path = Path(problem.filename)
    if not path.is_relative_to(cache_folder()):
        return None
    return _error_message(path, str(problem.strerror))


def writable_cache(name: str = "") -> Path:
    """Return the cache, or the folder `name` in it, created where it is missing.

    Raises:
        ConfigError: it cannot be written to; the message says what to do.
    """
    folder = cache_folder() / name
    reason = why_not_writable(folder)
    if reason is not None:
        raise ConfigError(_error_message(folder, reason))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _error_message(path: Path, reason: str) -> str:
    return f"cannot write to the cache {path} ({reason}); {_ADVICE}"
