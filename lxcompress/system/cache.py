"""The folder for generated and converted files of this user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$LXCOMPRESS_CACHE`, or `~/.cache/lxcompress` where it is not set."""
    return Path(os.environ.get("LXCOMPRESS_CACHE") or "~/.cache/lxcompress").expanduser()
