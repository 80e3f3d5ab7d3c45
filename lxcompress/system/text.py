"""Text that can be printed, encoded and kept on one line."""

from __future__ import annotations

import re
from pathlib import Path

from lxcompress.errors import ConfigError

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# An escaped backslash and a whole pair are consumed, so that the group is a lone surrogate only.
_LONE_SURROGATE = re.compile(
    r"\\\\"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_CHARACTERS_BEFORE = 30


def one_line(value: object) -> str:
    """It as one line of printable characters: nothing that could begin another line or field."""
    text = " ".join(str(value).split())
    return "".join(character for character in text if character.isprintable())


def first_line(problem: BaseException) -> str:
    """The first line of an error's message; libraries append where it happened, and advice."""
    return str(problem).strip().partition("\n")[0]


def is_utf8(text: str) -> bool:
    """Whether a text can be encoded; file names in other encodings have surrogates instead."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_name(option: str, name: str) -> None:
    """Raise ConfigError unless `name` can be that of a file, and be written as UTF-8."""
    if "\0" in name or not is_utf8(name):
        raise ConfigError(f"--{option} {name!r}: not a name in UTF-8; rename it")


def printable_path(path: Path | str) -> str:
    """A path with `\\x..` for each byte that is not UTF-8."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def find_lone_surrogate(json_text: str) -> str | None:
    """Describe the first half of a surrogate pair without its other half in JSON, with its place.

    UTF-8 has no surrogates, so that one can only be written as an escape.
    """
    if not _SURROGATE.search(json_text):
        return None
    for match in _LONE_SURROGATE.finditer(json_text):
        if match[1]:
            start = match.start()
            line = json_text.count("\n", 0, start) + 1
            column = start - json_text.rfind("\n", 0, start)
            before = one_line(json_text[max(0, start - _CHARACTERS_BEFORE) : start])
            return (
                f"half a character (the lone surrogate {match[1]}) at line {line}, "
                f"column {column}, after …{before}"
            )
    return None
