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
class _Event:
    """The number of an event, whether it is a question, and which picture it is about."""

    number: int
    is_question: bool
    picture: str | None


class LatestEvents:
    """The latest event of each session. Safe for several threads.

    Each method notes an event and returns whether its output may still be shown, to be called
    each time.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._latest: OrderedDict[str, _Event] = OrderedDict()
        self._lock = threading.Lock()

    def begin_question(self, session: str | None, picture: str | None) -> Callable[[], bool]:
        """A question may be shown until the next one, or until another picture is chosen."""
        with self._lock:
            return self._begin(session, is_question=True, picture=picture)

    def begin_picture(self, session: str | None, picture: str | None) -> Callable[[], bool]:
        """A choice of a picture may be shown until any other event.

        A question about the picture may arrive before its choice, and be answered by then: the
        choice shows nothing.
        """
        with self._lock:
            latest = self._latest.get(session or "")
            if latest is not None and latest.is_question and latest.picture == picture:
                return lambda: False
            return self._begin(session, is_question=False, picture=picture)

    def _begin(
        self, session: str | None, *, is_question: bool, picture: str | None
    ) -> Callable[[], bool]:
        key, event = session or "", _Event(next(self._numbers), is_question, picture)
        self._latest[key] = event
        self._latest.move_to_end(key)
        while len(self._latest) > _MAX_SESSIONS:
            self._latest.popitem(last=False)
        return lambda: self._is_latest(key, event)

    def _is_latest(self, key: str, event: _Event) -> bool:
        """Whether it is the session's latest event, which one of a dropped session always is."""
        with self._lock:
            return self._latest.get(key, event) == event
