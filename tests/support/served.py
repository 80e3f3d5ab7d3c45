"""The demo for tests: in a process of its own, and in a real browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import Script

from app.answers.open_service import ServiceOptions, open_detector_of, open_service
from app.answers.served_files import ModelOptions, ServedFiles
from app.answers.service import Service

META = {"_type": "gradio.FileData"}

# The command, whose process writes down which other machines it connected to.
_COMMAND = """
import sys
from pathlib import Path
import connections
from lxcompress.cli.main import main

log = Path(sys.argv.pop(1))
try:
    main()
finally:
    log.write_text("".join(f"{event} {arguments}\\n" for event, arguments in connections.seen))
"""
_READY = "stop with Ctrl-C"
_CHROMIUM = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@dataclass(frozen=True)
class Served:
    """A running `lxcompress demo`: its address, its process, and its folder for temporary files."""

    address: str
    process: Script
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
    environment = {"TMPDIR": str(temporary), **(environment or {})}
    process = Script(_COMMAND, log, "demo", *arguments, environment=environment)
    try:
        limit = time.monotonic() + 120
        while _READY not in (lines := process.output().splitlines()):
            assert process.poll() is None and time.monotonic() < limit, lines
            time.sleep(0.01)
        address = lines[lines.index(_READY) - 1].split()[-1]
        yield Served(address, process, temporary)
        process.terminate()
        code, text = process.finish(30)
    finally:
        process.kill()
    assert code == 0, text
    # No uploads are left.
    assert not list(temporary.iterdir())
    assert log.read_text() == ""


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
