"""Which event of a session is the latest, so that an older one shows nothing in its place.

A photograph takes seconds; a user who meanwhile chooses another or asks again waits for that one.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable

_MAX_SESSIONS = 1000


class LatestEvents:
    """The latest event of each session, and its latest question. Safe for several threads."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._latest: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, session: str | None, *, is_question: bool) -> Callable[[], bool]:
        """Note an event and return whether its output may still be shown, to be called each time.

        A question's may until the next question; that of another event until any event.
        """
        key = session or ""
        with self._lock:
            number = next(self._numbers)
            _, question = self._latest.get(key, (0, 0))
            self._latest[key] = (number, number if is_question else question)
            self._latest.move_to_end(key)
            while len(self._latest) > _MAX_SESSIONS:
                self._latest.popitem(last=False)

        def may_be_shown() -> bool:
            with self._lock:
                event, question = self._latest.get(key, (number, number))
            return number == (question if is_question else event)

        return may_be_shown
