"""Serving the page: one address, a folder of its own for uploads, and an end by Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.answers.service import Service
from lxcompress.errors import ConfigError, LxcompressError

if TYPE_CHECKING:
    import gradio as gr

HOST = "127.0.0.1"
_FIRST_PORT, _PORTS = 7860, 100
_TRIES = 5  # at a port, when others start at the same moment


@dataclass(frozen=True)
class Serving:
    """A running page: its address here, and the public one where it is shared."""

    address: str
    public: str | None


def find_port(port: int | None) -> int:
    """`port` if it is free, else, for None, the first free one from 7860.

    Raises ConfigError when it is in use, or may not be used.
    """
    for candidate in [port] if port is not None else range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        with socket.socket() as trial:
            # As a server does: what a closed one leaves behind is no hindrance.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, candidate))
                return candidate
            except PermissionError:
                raise ConfigError(
                    f"--port {candidate} may not be used by this user; choose one above 1023"
                ) from None
            except OSError:
                continue
    if port is None:
        last = _FIRST_PORT + _PORTS - 1
        raise ConfigError(f"ports {_FIRST_PORT} to {last} are all in use; give another with --port")
    raise ConfigError(f"--port {port} is in use on {HOST}; choose another, or leave it out")


@contextmanager
def serving(service: Service, port: int | None = None, *, share: bool = False) -> Iterator[Serving]:
    """Serve the page while the block runs; what was uploaded is deleted at its end.

    Raises ConfigError for a port that cannot be had, LxcompressError when a public address was
    asked for and cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="lxcompress-demo-") as name:
        folder = Path(name).resolve()
        uploads, examples = folder / "uploads", folder / "examples"
        uploads.mkdir()
        examples.mkdir()
        with _environment(uploads):
            page = _launch_on(port, service, uploads, examples, share)
            try:
                if share and not page.share_url:
                    raise LxcompressError(
                        "--share: no public address could be had; Gradio gives them out, and needs "
                        "the internet for it. Leave it out to use the page here"
                    )
                yield Serving(page.local_url, page.share_url)
            finally:
                page.close(verbose=False)


def _launch_on(
    port: int | None, service: Service, uploads: Path, examples: Path, share: bool
) -> gr.Blocks:
    """Launch on `port`, or for None on the first that stays free until the page is built."""
    for _ in range(_TRIES):
        found = find_port(port)
        try:
            return _launch(service, uploads, examples, found, share)
        except OSError:  # another process was faster
            if port is not None:
                break
    raise ConfigError(f"--port {found} is in use on {HOST}; choose another")


def _launch(service: Service, uploads: Path, examples: Path, port: int, share: bool) -> gr.Blocks:
    from starlette.middleware import Middleware

    from app.page.examples import make_examples
    from app.page.layout import build_page
    from app.page.style import CSS, theme
    from app.page.upload_guard import Guard

    page = build_page(service, make_examples(examples), uploads, f"http://{HOST}:{port}")
    page.launch(
        server_name=HOST,
        server_port=port,
        share=share,
        inline=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        allowed_paths=[str(examples)],
        app_kwargs={"middleware": [Middleware(Guard)]},
        state_session_capacity=500,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        theme=theme(),
        css=CSS,
    )
    return page


def wait() -> None:
    """Until Ctrl-C, or the signal by which services are stopped; both leave no upload behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


@contextmanager
def _environment(uploads: Path) -> Iterator[None]:
    """What Gradio only takes from the environment, and reads while it serves."""
    beside = uploads.parent / "cached"
    wanted = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        # By default a folder that all Gradio apps of a machine share, and would serve to anyone.
        "GRADIO_TEMP_DIR": str(uploads),
        "GRADIO_EXAMPLES_CACHE": str(beside),
        # It asks its own address whether it is there, which is none of a proxy's business.
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), HOST])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), HOST])),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
