"""Requests that do not reach Gradio: too large, or with URLs."""

import asyncio
import json
from typing import Any

import pytest

from app.page.upload_guard import MAX_UPLOAD, UploadGuard


def send_through_guard(
    path: str, body: list[bytes], content_type: str = "application/json", length: int | None = None
) -> tuple[int, bytes | None]:
    """The status, and the body that the app received (None if it received none)."""
    received: list[bytes] = []
    is_called = False
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal is_called
        is_called = True
        more = True
        while more:
            message = await receive()
            received.append(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    parts = list(body)

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    asyncio.run(UploadGuard(app)(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], b"".join(received) if is_called and sent[0]["status"] == 200 else None


FORM = "multipart/form-data; boundary=x"


def test_guard_passes_valid_requests_unchanged() -> None:
    body = json.dumps({"data": [{"path": "/tmp/x.png"}, "is http://x a circle?", 3]}).encode()
    assert send_through_guard("/run/ask", [body]) == (200, body)
    assert send_through_guard("/run/ask", [body[:9], body[9:]]) == (200, body)
    assert send_through_guard("/gradio_api/file=/tmp/x.png", [b""]) == (200, b"")
    large = b"x" * MAX_UPLOAD
    assert send_through_guard("/upload", [large[:100], large[100:]], FORM) == (200, large)
    assert send_through_guard("/run/ask", [b"no JSON"]) == (200, b"no JSON")


@pytest.mark.parametrize(
    "data",
    [
        {"path": "http://127.0.0.1/x.png", "meta": {"_type": "gradio.FileData"}},
        {"path": "https://example.com/x.png"},
        {"path": "file:///etc/passwd"},
        [[{"deep": {"path": "HTTP://x"}}]],
        {"value": {"path": "ftp://x"}},
    ],
)
def test_guard_refuses_urls_of_pictures(data: Any) -> None:
    assert send_through_guard("/run/ask", [json.dumps({"data": [data]}).encode()]) == (400, None)
    body = json.dumps(data).encode()
    assert send_through_guard("/run/ask", [body], "text/plain") == (400, None)


def test_guard_refuses_url_paths_and_large_bodies() -> None:
    for path in ("/gradio_api/file=http://x/y", "/gradio_api/proxy=https://x", "/file/http://x"):
        assert send_through_guard(path, [b""]) == (403, None)
    assert send_through_guard("/run/ask", [b"["] * 3, length=2**20 + 1) == (413, None)
    assert send_through_guard("/run/ask", [b"x" * 2**20, b"x"]) == (413, None)
    assert send_through_guard("/upload", [b"x" * MAX_UPLOAD, b"x" * 2**17], FORM) == (413, None)
    assert send_through_guard("/upload", [b""], FORM, 50_000_000) == (413, None)
    assert send_through_guard("/run/ask", [b"[" * 500_000]) == (400, None)
