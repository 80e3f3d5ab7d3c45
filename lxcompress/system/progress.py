"""Progress of long operations: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 10.0


class Meter:
    """Counts finished units of work and shows the rate and the time left on standard error."""

    def __init__(self, description: str, total: int | None, unit: str, start: int) -> None:
        self.description, self.total, self.unit, self.done = description, total, unit, start
        self._start = start
        self._began = self._spoke = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Record `count` more finished units; `note` is a short status such as a loss."""
        self.done += count
        now = time.monotonic()
        if now - self._spoke >= _SECONDS_BETWEEN_LINES:
            self._spoke = now
            print(self._line(now, note), file=sys.stderr, flush=True)

    def _line(self, now: float, note: str) -> str:
        rate = (self.done - self._start) / (now - self._began)
        of_total = "" if self.total is None else f"/{self.total}"
        text = f"{self.description}: {self.done}{of_total} {self.unit}, {_speed(rate, self.unit)}"
        if self.total is not None:
            left = (self.total - self.done) / rate if rate else float("inf")
            text += f", {left:.0f} s left"
        return f"{text}, {note}" if note else text


def _speed(rate: float, unit: str) -> str:
    return f"{1 / rate:.0f} s each" if 0 < rate < 0.1 else f"{rate:.1f} {unit}/s"


class _Bar(Meter):
    def __init__(self, meter: tuple[str, int | None, str, int], bar: Progress) -> None:
        super().__init__(*meter)
        description, total, unit, start = meter
        self._progress = bar
        self._task = bar.add_task(description, total=total, completed=start, rate="", note="")

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        elapsed = max(time.monotonic() - self._began, 1e-9)
        rate = _speed((self.done - self._start) / elapsed, self.unit)
        self._progress.update(self._task, completed=self.done, rate=rate)
        if note:
            self._progress.update(self._task, note=note)


@contextmanager
def progress(description: str, total: int | None, unit: str, start: int = 0) -> Iterator[Meter]:
    """Show progress from `start` to `total` (None: unknown) while the block runs.

    A bar where standard error is a terminal, otherwise a line every ten seconds.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Meter(description, total, unit, start)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar((description, total, unit, start), bar)
