"""Pruning schedules: the fractions removed on the way to the target."""

from __future__ import annotations

from lxcompress.choices import Pattern, Rewind, Schedule
from lxcompress.config import PruneConfig

_STEP_PERCENT = 10


def pruning_levels(
    target: float, pattern: str = Pattern.UNSTRUCTURED, start: float = 0.0
) -> list[float]:
    """Return the steps of 10% of the original weights up to `target` (the paper, section 3.2).

    The last step ends at the target: 0.25 gives [0.1, 0.2, 0.25]. An N:M pattern has no steps on
    the way. With a speedup, the fractions are of the dense model's latency.

    start: what is removed already; the steps up to it are left out.
    """
    if Pattern.of(pattern) == Pattern.N_OF_M:
        return [target]
    steps = [percent / 100 for percent in range(_STEP_PERCENT, 100, _STEP_PERCENT)]
    return [level for level in steps if start < level < target - 1e-9] + [target]


def training_rounds(config: PruneConfig, start: float = 0.0) -> list[list[float]]:
    """Return the levels of each round of pruning that ends with training.

    The paper prunes in steps of 10% and fine-tunes once, at the end. The iterative schedule of
    Frankle & Carbin trains after each step. A given mask (`--mask`) is applied whole: there is one
    level, 1.0 of it.
    """
    if config.mask is not None:
        return [[1.0]]
    levels = pruning_levels(config.target, config.pattern, start)
    return [levels] if config.schedule == Schedule.PAPER else [[level] for level in levels]


def control_rounds(config: PruneConfig) -> int | None:
    """Return how often the control is trained again, as often as the ticket; None without one."""
    has_control = config.control and config.rewind == Rewind.LR
    return len(training_rounds(config)) if has_control else None
