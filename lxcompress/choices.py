"""The choices that define a lottery-ticket run, each value with its description.

Help texts, model cards, reports and checks take values and descriptions from here.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from lxcompress.errors import ConfigError


class Choice(StrEnum):
    """A setting with a few named values. `description` says what each value does."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        """Make the member `value`, a string, with its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return the member called `value`; raise ConfigError naming the known ones otherwise."""
        try:
            return cls(value)  # type: ignore[call-arg]
        except ValueError:
            raise ConfigError(
                f"{cls.__name__.lower()} {value!r} is not one of {', '.join(cls)}"
            ) from None

    @classmethod
    def help(cls, what: str, default: str) -> str:
        """Return a help text: what is chosen, the values with their descriptions, the default."""
        values = "; ".join(f"{member}: {member.description}" for member in cls)
        return f"{what}. {values}. [default: {default}]"


class Subnetwork(Choice):
    """Which weights are pruned. All three subnetworks have the same size."""

    LOW = "low", "what ranks lowest is pruned, as in the paper's winning tickets"
    HIGH = "high", "what ranks highest is pruned; a control, not a winning ticket"
    RANDOM = "random", "what is pruned is drawn at random; a control, not a winning ticket"


class Pattern(Choice):
    """What is pruned together."""

    UNSTRUCTURED = "unstructured", "single weights; the file is smaller, but not faster"
    STRUCTURED = "structured", "whole attention heads and feed-forward neurons; smaller and faster"
    N_OF_M = "2:4", "two of every four consecutive weights of a row are left; any N:M is possible"

    @classmethod
    def of(cls, pattern: str) -> Pattern:
        """Return the member that a setting belongs to; any N:M is of `N_OF_M`.

        Raises:
            ConfigError: it is no pattern.
        """
        if n_of_m(pattern) is not None:
            return cls.N_OF_M
        if pattern in (cls.UNSTRUCTURED, cls.STRUCTURED):
            return cls(pattern)  # type: ignore[call-arg]
        raise ConfigError(f"--pattern {pattern}: choose unstructured, structured or N:M as in 2:4")


def n_of_m(pattern: str) -> tuple[int, int] | None:
    """Return N and M of a pattern such as "2:4" with 0 < N < M; None for any other text."""
    found = re.fullmatch(r"([1-9]\d{0,2}):([1-9]\d{0,2})", pattern)
    pair = (int(found[1]), int(found[2])) if found else None
    return pair if pair and pair[0] < pair[1] else None


class Criterion(Choice):
    """How weights, or heads and neurons, are ranked."""

    MAGNITUDE = "magnitude", "by |w|, of a head or neuron by its mean square, as in the paper"
    TAYLOR = "taylor", "by the squared change of the loss without it, to first order, per weight"


class Scope(Choice):
    """Which weights are ranked together."""

    GLOBAL = "global", "all prunable weights are ranked together"
    LAYER = "layer", "each weight matrix is ranked by itself, as in the authors' code"
    MODALITY = "modality", "language, vision and cross-modality are each ranked by themselves"


class Schedule(Choice):
    """How pruning and training alternate."""

    PAPER = "paper", "fine-tune, prune in steps of 10%, fine-tune once more"
    ITERATIVE = "iterative", "rewind and fine-tune after each step of 10% (Frankle & Carbin)"


class Rewind(Choice):
    """Where the remaining weights start when they are trained again."""

    WEIGHTS = "weights", "from the start weights θ0"
    LATE = "late", "from the weights after the first steps of dense training"
    LR = "lr", "from the trained weights; only the learning-rate schedule starts again"
