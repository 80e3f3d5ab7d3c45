"""Pruning schedules: the sparsities on the way to the target."""

from __future__ import annotations

_STEP_PERCENT = 10


def pruning_levels(sparsity: float) -> list[float]:
    """Return the steps of 10% of the original weights up to `sparsity` (the paper, section 3.2).

    The last step ends at the target: 0.25 gives [0.1, 0.2, 0.25].
    """
    steps = [percent / 100 for percent in range(_STEP_PERCENT, 100, _STEP_PERCENT)]
    return [level for level in steps if level < sparsity - 1e-9] + [sparsity]
