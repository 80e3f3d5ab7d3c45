"""The stages from a picture and a question to an answer, yielded while they last."""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import TypeVar

Result = TypeVar("Result")


class Stage(StrEnum):
    """What is being done."""

    OPENING = "opening"
    WAITING = "waiting"  # for pictures that came before
    DETECTING = "detecting"
    ANSWERING = "answering"


def drain(stages: Generator[Stage, None, Result]) -> Result:
    """Return what the generator returns; its stages are passed over."""
    while True:
        try:
            next(stages)
        except StopIteration as done:
            result: Result = done.value
            return result
