"""Ctrl-C and SIGTERM: finish what is under way, then stop.

SIGTERM always stops, as Ctrl-C does, and the work is kept. SIGINT stays ignored where it was
ignored from the start: so a shell without job control starts a command in the background, for
whose terminal a Ctrl-C is then meant for something else.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C and SIGTERM; yield a function that returns whether one has arrived.

    A second signal raises KeyboardInterrupt at once. Signals are handled in the main thread only;
    in another thread the function always returns False.
    """
    requested = False

    def request(signum: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    with _handled_by(request, *_stopping_signals()):
        yield lambda: requested


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, while the block runs."""
    with _handled_by(signal.default_int_handler, signal.SIGTERM):
        yield


def leave_signals_to_parent(worker: int) -> None:
    """Ignore what a terminal or a service manager sends to all processes of a command at once.

    For `worker_init_fn` of a DataLoader: the parent decides when to stop, and then ends its workers
    with a SIGTERM of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_parent_terminates, daemon=True).start()


def _end_when_parent_terminates() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _stopping_signals() -> list[int]:
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return [signal.SIGTERM] if is_ignored else [signal.SIGINT, signal.SIGTERM]


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], object], *numbers: int
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
