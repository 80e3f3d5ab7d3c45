from __future__ import annotations


def one_line(value: object) -> str:
    """It as one line of printable characters: nothing that could begin another line or field."""
    text = " ".join(str(value).split())
    return "".join(character for character in text if character.isprintable())
