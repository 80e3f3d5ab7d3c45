"""Systems are timed in rounds of random order, and summed up as numpy and a hand would."""

import numpy as np
import pytest

from benchmarks.measure.latency import over_batches, percentiles
from lxcompress.system.timing import time_in_rounds


def test_a_round_runs_every_system_once_in_random_order() -> None:
    called: list[str] = []

    def system(name: str):
        return lambda: called.append(name)

    samples = time_in_rounds(
        {name: system(name) for name in "abc"}, rounds=40, seconds=0, warm_up=1
    )
    rounds = ["".join(called[start : start + 3]) for start in range(0, len(called), 3)]
    assert len(rounds) == 41 and {"".join(sorted(order)) for order in rounds} == {"abc"}
    assert len(set(rounds)) == 6  # so that each follows each
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 40, "b": 40, "c": 40}
    assert all(second >= 0 for taken in samples.values() for second in taken)


def test_rounds_continue_until_the_time_is_over() -> None:
    samples = time_in_rounds({"a": lambda: None}, rounds=1, seconds=0.05, warm_up=0)
    assert len(samples["a"]) > 1


def test_every_round_is_reported() -> None:
    seen: list[int] = []
    time_in_rounds(
        {"a": lambda: None}, rounds=3, seconds=0, on_round=lambda number, _: seen.append(number)
    )
    assert seen == [1, 2, 3]


def test_batches_are_used_cyclically() -> None:
    batches = [{"x": np.full(1, index)} for index in range(2)]
    run = over_batches(batches, lambda inputs: inputs["x"])
    assert [int(run()[0]) for _ in range(5)] == [0, 1, 0, 1, 0]


def test_percentiles() -> None:
    found = percentiles([0.1 * number for number in range(1, 12)])
    assert found.keys() == {"p50", "p90", "p99"}
    assert found["p50"] == pytest.approx(0.6)
    assert found["p90"] == pytest.approx(1.0)
