"""Where lxcompress keeps what it made or converted for this user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """What is kept for this user: `$LXCOMPRESS_CACHE`, else `~/.cache/lxcompress`."""
    return Path(os.environ.get("LXCOMPRESS_CACHE") or "~/.cache/lxcompress").expanduser()
