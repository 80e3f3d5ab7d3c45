"""The steps on the way to the target sparsity."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcompress.pruning.schedule import pruning_levels


@pytest.mark.parametrize(
    ("target", "levels"),
    [
        (0.05, [0.05]),
        (0.1, [0.1]),
        (0.25, [0.1, 0.2, 0.25]),
        (0.3, [0.1, 0.2, 0.3]),
        (0.5, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (0.7, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (0.95, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]),
    ],
)
def test_steps_of_ten_percent_of_the_original_weights(target: float, levels: list[float]) -> None:
    assert pruning_levels(target) == levels


def test_a_target_that_is_a_rounding_error_off_is_not_a_step_of_its_own() -> None:
    assert pruning_levels(0.1 + 0.2) == [0.1, 0.2, 0.1 + 0.2]


@given(st.floats(0.001, 0.999))
def test_steps_rise_by_at_most_ten_percent_and_end_at_the_target(target: float) -> None:
    levels = pruning_levels(target)
    assert levels[-1] == target
    assert all(0 < after - before < 0.1 + 1e-8 for before, after in pairwise([0.0, *levels]))
