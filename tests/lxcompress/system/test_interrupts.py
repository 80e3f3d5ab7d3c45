"""Which signals stop, and when."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from lxcompress.system.interrupts import deferred_interrupt, sigterm_interrupts

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers of this process after the test."""
    before = {number: signal.getsignal(number) for number in BOTH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_is_deferred_and_a_second_one_is_not(number: int) -> None:
    before = signal.getsignal(number)
    with deferred_interrupt() as stopping:
        assert not stopping()
        send(number)
        assert stopping()
        with pytest.raises(KeyboardInterrupt):
            send(number)
    assert signal.getsignal(number) is before


def test_an_ignored_sigint_stays_ignored_and_sigterm_still_stops() -> None:
    """As in the background of a shell without job control."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupt() as stopping:
        send(signal.SIGINT)
        assert not stopping()
        send(signal.SIGTERM)
        assert stopping()
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_sigterm_interrupts_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_leave_signals_alone() -> None:
    before = [signal.getsignal(number) for number in BOTH]
    found: list[object] = []

    def run() -> None:
        with deferred_interrupt() as stopping, sigterm_interrupts():
            found.extend([*map(signal.getsignal, BOTH), stopping()])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [*before, False]
