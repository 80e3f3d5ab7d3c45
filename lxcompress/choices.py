"""The choices that define a lottery-ticket run, each value with its description.

Help texts, model cards, reports and checks take values and descriptions from here.
"""

from __future__ import annotations

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
    def help(cls, what: str, default: Choice) -> str:
        """Return a help text: what is chosen, the values with their descriptions, the default."""
        values = "; ".join(f"{member}: {member.description}" for member in cls)
        return f"{what}. {values}. [default: {default}]"


class Subnetwork(Choice):
    """Which weights are pruned. All three subnetworks have the same size."""

    LOW = "low", "the weights of smallest magnitude are pruned, as in the paper's winning tickets"
    HIGH = "high", "the weights of largest magnitude are pruned; a control, not a winning ticket"
    RANDOM = "random", "the pruned weights are drawn at random; a control, not a winning ticket"


class Scope(Choice):
    """Which weights share one threshold on the magnitude."""

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
