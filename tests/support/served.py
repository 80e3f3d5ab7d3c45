"""The demo for tests: in a process of its own, and in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.answers.open_service import ServiceOptions, open_detector_of, open_service
from app.answers.served_files import ModelOptions, ServedFiles
from app.answers.service import Service

META = {"_type": "gradio.FileData"}

# The command, recording every address of another machine that its process connects to.
_COMMAND = """
import sys

log = sys.argv.pop(1)

def record(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in (None, "", "localhost", "127.0.0.1", b"127.0.0.1", "::1", b"::1", "0.0.0.0"):
        with open(log, "a") as file:
            print(event, arguments, file=file)

sys.addaudithook(record)
from lxcompress.cli.main import main
main()
"""
_CHROMIUM = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@dataclass(frozen=True)
class Served:
    """A running `lxcompress demo`: its address, its process, and its folder for temporary files."""

    address: str
    process: subprocess.Popen[str]
    temporary: Path

    def upload(self, path: Path) -> dict[str, Any]:
        with open(path, "rb") as file:
            reply = httpx.post(f"{self.address}gradio_api/upload", files={"files": file})
        return {"path": reply.raise_for_status().json()[0], "meta": META}

    def ask(self, data: list[Any]) -> httpx.Response:
        return httpx.post(f"{self.address}gradio_api/run/ask", json={"data": data}, timeout=60)


def service_of(model: Path | str, **options: str) -> Service:
    """The page's service for a model whose files exist, with one thread."""
    files, running = ServedFiles.find(str(model), ModelOptions(**options)), ServiceOptions("cpu", 1)
    files.export()
    return open_service(files, open_detector_of(files, running), running)


@contextmanager
def run_demo(
    folder: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Run `lxcompress demo` while the block runs, then stop it with SIGTERM.

    Fails if it connected to another machine or left temporary files behind.
    """
    temporary, log = folder / "temporary", folder / "connections.txt"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(log), "demo", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), **(environment or {})},
    )
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    assert process.stdout and process.stderr
    try:
        first = process.stdout.readline()
        assert process.stdout.readline() == "stop with Ctrl-C\n", process.stderr.read()
        watchdog.cancel()  # requests and the end have timeouts of their own
        yield Served(first.split()[-1], process, temporary)
        process.terminate()
        process.wait(30)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()
    assert process.returncode == 0
    # No uploads, and no session of ONNX Runtime's telemetry, which is off.
    assert not list(temporary.iterdir())
    assert not log.exists(), log.read_text()


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; the test is skipped if it is not installed."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("needs Chromium on the path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM.split())
        try:
            yield browser
        finally:
            browser.close()
