"""Progress where standard error is no terminal: a line now and then, with rate and time left."""

import io

import pytest
from rich.console import Console

from lxcompress.system import progress as module
from lxcompress.system.progress import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_lines_every_ten_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Training", 500, "steps", start=100) as meter:
        for second in range(25):
            clock[0] = 101.0 + second
            meter.advance(4, note="loss 1.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Training: 140/500 steps, 4.0 steps/s, 90 s left, loss 1.5",
        "Training: 180/500 steps, 4.0 steps/s, 80 s left, loss 1.5",
    ]


def test_work_of_unknown_length(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Converting standard input", None, "MB") as meter:
        clock[0] = 110.0
        meter.advance(50)
    assert capsys.readouterr().err == "Converting standard input: 50 MB, 5.0 MB/s\n"


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Training", 3, "steps") as meter:
        meter.advance(3)
    assert meter.done == 3
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=150)
    monkeypatch.setattr(module, "Console", lambda stderr: terminal)
    with progress("Training", 10, "steps", start=4) as meter:
        meter.advance(6, note="loss 1.5")
    assert "Training" in screen.getvalue()
    assert "10/10" in screen.getvalue() and "loss 1.5" in screen.getvalue()
