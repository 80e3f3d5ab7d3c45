"""What is refused before Gradio sees it: too much data, and addresses to fetch from.

Gradio downloads a picture whose `path` is an URL, and serves `/file=https://…` by fetching it. This
page fetches nothing that a user types.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_UPLOAD = 20 * 2**20  # bytes of one picture file
_MAX_FORM = MAX_UPLOAD + 2**16  # with what surrounds it
_MAX_JSON = 2**20


class Guard:
    """ASGI middleware in front of a Gradio app.

    Not `launch(max_file_size=…)`: the page would then tell of a file by its name, as markup.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 400, 403 or 413 and the reason as plain text."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if "://" in scope["path"]:
            await _refuse(scope, receive, send, 403, "no address is fetched from here")
            return
        form = request.headers.get("content-type", "").startswith("multipart/form-data")
        limit = _MAX_FORM if form else _MAX_JSON
        too_large = f"at most {limit // 2**20} MB are taken; choose something smaller"
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            await _refuse(scope, receive, send, 413, too_large)
            return
        try:
            if form:
                await self.app(scope, _counted(receive, limit), send)
                return
            body = await _whole(_counted(receive, limit))
        except _TooLargeError:  # while it is read, so that no answer has begun
            await _refuse(scope, receive, send, 413, too_large)
            return
        if _names_an_address(body):
            await _refuse(scope, receive, send, 400, "give the picture as a file, not an address")
            return
        await self.app(scope, _replayed(body, receive), send)


class _TooLargeError(Exception):
    """More came than `Content-Length` said, or than may come without one."""


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    await PlainTextResponse(why, status)(scope, receive, send)


def _counted(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def counting() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _TooLargeError
        return message

    return counting


async def _whole(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message; then what else the client has to say, such as that it is gone."""
    given = False

    async def replaying() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


def _names_an_address(body: bytes) -> bool:
    try:
        waiting: list[Any] = [json.loads(body)] if body else []
    except ValueError:
        return False  # for Gradio to complain about
    except RecursionError:
        return True  # nothing honest is nested as deep
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            path = value.get("path")
            if isinstance(path, str) and "://" in path:
                return True
            waiting += value.values()
    return False
