"""Which event of a session is the latest, so that an older one shows nothing in its place.

A photograph takes seconds; a user who meanwhile chooses another or asks again waits for that one.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MAX_SESSIONS = 1000


@dataclass(frozen=True)
class _Latest:
    """Numbers of the latest event and question of a session, and the question's picture."""

    event: int
    question: int | None = None
    picture: str | None = None


class LatestEvents:
    """The latest event of each session, and its latest question. Safe for several threads.

    Each method notes an event and returns whether its output may still be shown, to be called
    each time.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._latest: OrderedDict[str, _Latest] = OrderedDict()
        self._lock = threading.Lock()

    def begin_question(self, session: str | None, picture: str | None) -> Callable[[], bool]:
        """A question may be shown until the next one, or until another picture is chosen."""
        with self._lock:
            number = next(self._numbers)
            self._store(session, _Latest(number, number, picture))

        return lambda: self._read(session, number).question == number

    def begin_picture(self, session: str | None, picture: str | None) -> Callable[[], bool]:
        """A choice of a picture may be shown until any other event.

        A question about the picture may arrive before its choice, and be answered by then: the
        choice shows nothing.
        """
        with self._lock:
            number = next(self._numbers)
            latest = self._latest.get(session or "")
            if latest is not None and latest.question is not None and latest.picture == picture:
                return lambda: False
            self._store(session, _Latest(number))

        return lambda: self._read(session, number).event == number

    def _store(self, session: str | None, latest: _Latest) -> None:
        key = session or ""
        self._latest[key] = latest
        self._latest.move_to_end(key)
        while len(self._latest) > _MAX_SESSIONS:
            self._latest.popitem(last=False)

    def _read(self, session: str | None, number: int) -> _Latest:
        """The latest events of a session; those of a session that was dropped may be shown."""
        with self._lock:
            return self._latest.get(session or "", _Latest(number, number))
