"""Commands in messages, quoted so that a shell takes them as they are shown."""

from __future__ import annotations

import shlex


def lxcompress_command(*words: object) -> str:
    """Return the command `lxcompress WORDS…`; each word is one argument, spaces included."""
    return shlex.join(["lxcompress", *map(str, words)])
