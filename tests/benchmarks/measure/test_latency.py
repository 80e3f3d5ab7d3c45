"""Systems are timed in turns, and summed up as numpy and a hand would."""

import pytest

from benchmarks.measure.latency import in_turns, summary, times_faster


def test_every_system_runs_once_a_turn_in_an_order_of_its_own() -> None:
    called: list[str] = []

    def system(name: str):
        return lambda: called.append(name)

    samples = in_turns({name: system(name) for name in "abc"}, runs=40, seconds=0, warm_up=1)
    turns = ["".join(called[start : start + 3]) for start in range(0, len(called), 3)]
    assert len(turns) == 41 and {"".join(sorted(turn)) for turn in turns} == {"abc"}
    assert len(set(turns)) == 6  # so that each follows each
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 40, "b": 40, "c": 40}
    assert all(second >= 0 for taken in samples.values() for second in taken)


def test_it_goes_on_until_the_time_is_over() -> None:
    samples = in_turns({"a": lambda: None}, runs=1, seconds=0.05, warm_up=0)
    assert len(samples["a"]) > 1


def test_summary_and_ratio() -> None:
    found = summary([0.1 * number for number in range(1, 12)])
    assert found["p50"] == pytest.approx(0.6)
    assert found["p90"] == pytest.approx(1.0)
    assert found["unit"] == "seconds"
    assert len(found["samples"]) == 11
    # A machine that slows down threefold between the turns changes nothing.
    assert times_faster([2, 6, 2], [1, 3, 1]) == 2
