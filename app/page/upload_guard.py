"""Refuse requests before Gradio reads them: large ones, and those that contain URLs to fetch.

Gradio downloads a picture whose `path` is a URL, and serves `/file=https://…` by fetching it. This
page fetches nothing that a user enters.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_UPLOAD = 20 * 2**20  # bytes of one picture file
_MAX_FORM = MAX_UPLOAD + 2**16  # with the multipart headers
_MAX_JSON = 2**20


class UploadGuard:
    """ASGI middleware in front of a Gradio app.

    Gradio's own `launch(max_file_size=…)` is not used: the page would then show the file's name as
    HTML.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reply with 400, 403 or 413 and the reason as plain text."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if "://" in scope["path"]:
            await _refuse(scope, receive, send, 403, "URLs are not fetched")
            return
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        limit = _MAX_FORM if is_form else _MAX_JSON
        too_large = f"at most {limit // 2**20} MB are accepted; choose a smaller file"
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            await _refuse(scope, receive, send, 413, too_large)
            return
        try:
            if is_form:
                await self.app(scope, _limited(receive, limit), send)
                return
            body = await _read_body(_limited(receive, limit))
        except _TooLargeError:  # raised while the body is read, before any response has started
            await _refuse(scope, receive, send, 413, too_large)
            return
        if _contains_url(body):
            await _refuse(scope, receive, send, 400, "upload the picture as a file, not as a URL")
            return
        await self.app(scope, _replayed(body, receive), send)


class _TooLargeError(Exception):
    """The body is larger than the limit, whatever its `Content-Length` was."""


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    await PlainTextResponse(reason, status)(scope, receive, send)


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive`, but raising _TooLargeError after more than `limit` bytes."""
    total = 0

    async def receive_limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise _TooLargeError
        return message

    return receive_limited


async def _read_body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then the client's further messages, such as a disconnect."""
    is_replayed = False

    async def receive_replayed() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_replayed


def _contains_url(body: bytes) -> bool:
    """Whether any object in a JSON body has a `path` that is a URL."""
    try:
        pending: list[Any] = [json.loads(body)] if body else []
    except ValueError:
        return False  # Gradio reports invalid JSON
    except RecursionError:
        return True  # no valid request is nested as deeply
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            path = value.get("path")
            if isinstance(path, str) and "://" in path:
                return True
            pending += value.values()
    return False
