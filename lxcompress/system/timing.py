"""Latency of several systems in one process, so that drift of the machine affects all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from random import Random
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def time_in_rounds(
    systems: Mapping[Name, Callable[[], object]],
    *,
    rounds: int,
    seconds: float,
    warm_up: int = 3,
    on_round: Callable[[int, float], None] = lambda number, elapsed: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Name, list[float]]:
    """Seconds of each run of each system; a round runs every system once, in random order.

    In a fixed order, rotated or not, a system always follows the same one, whose state of caches
    and allocator it finds: the same file twice measured 1.2 times as slow as itself.

    At least `rounds` rounds, and rounds for at least `seconds`, after `warm_up` rounds that are
    not counted. A system must return only when its result is there (CUDA included). `on_round`
    gets the number of finished rounds and the seconds since the first began. `clock` is read before
    and after each run; `time.process_time` leaves out what other processes take.
    """
    names = list(systems)
    for _ in range(warm_up):
        for name in names:
            systems[name]()
    samples: dict[Name, list[float]] = {name: [] for name in names}
    random = Random(0)
    began, finished = time.perf_counter(), 0
    while finished < rounds or time.perf_counter() - began < seconds:
        for name in random.sample(names, len(names)):
            start = clock()
            systems[name]()
            samples[name].append(clock() - start)
        finished += 1
        on_round(finished, time.perf_counter() - began)
    return samples
